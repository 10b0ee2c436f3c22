"""Rows about bad links, the emulator beside netem: each packet passes the same impairment.

Where this kernel has no netem they are measured in User-Mode Linux, which the tests boot as well: on
one CPU of its own, and slowly, but for both alike.
"""

import json
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.bench import Bench, Row
from benchmarks.contenders import HERE, Unavailable
from benchmarks.measure import Budget, Comparison
from benchmarks.wire_rows import pair_up
from labctl.errors import machine_error
from labctl.kernel.netem_present import has_netem
from tests.uml import guest

_MEGABYTES = 20
_SECONDS_A_ROUND = 60.0
_IN_GUEST = "netem, both in User-Mode Linux"


def tcp_beside_netem(bench: Bench, row: str, words: str) -> Comparison:
    if not has_netem():
        return _in_guest(bench, row)
    with pair_up(bench, "wired", "wire") as wired, pair_up(bench, "shaped", "netem") as shaped:
        wired.impair(words)
        shaped.impair(words)
        return bench.compare(
            "emulator",
            {"netem": 1},
            None,
            {
                "emulator": lambda: wired.gigabyte_ms(_MEGABYTES),
                "netem": lambda: shaped.gigabyte_ms(_MEGABYTES),
            },
        )


def _in_guest(bench: Bench, row: str) -> Comparison:
    """Measure a row in a kernel that has netem. Raises ``Unavailable`` where none can be booted."""
    reason = guest.why_none()
    if reason:
        raise Unavailable(f"no netem in this kernel; {reason}")
    command = [sys.executable, str(HERE / "run.py"), "--only", row, "--runs", str(bench.rounds)]
    with tempfile.TemporaryDirectory(dir=bench.folder) as name:
        results = Path(name)
        try:
            done = guest.run(
                ["sh", "-c", f'"$@" --json >{guest.SHARED}/results/row', "row", *command],
                cwd=HERE.parent,
                timeout_s=_SECONDS_A_ROUND * (bench.rounds + 2),
                environment={"PYTHONDONTWRITEBYTECODE": "1"},
                results=results,
            )
        except guest.GuestError as error:
            raise machine_error(f"no guest with netem: {error}") from error
        if done.exit_code != 0:
            raise machine_error(
                f"the guest ended with exit code {done.exit_code}", hint=done.output.strip()
            )
        [measured] = json.loads((results / "row").read_text())["rows"]
    if "contenders" not in measured:
        raise machine_error(str(measured.get("failed", measured.get("left_out"))))
    samples = {name: each["ms"] for name, each in measured["contenders"].items()}
    samples[_IN_GUEST] = samples.pop("netem")
    return Comparison(Budget(measured["subject"], {_IN_GUEST: 1}, measured["budget"]), samples)


ROWS = tuple(
    Row(key, title, partial(tcp_beside_netem, row=key, words=words), 7)
    for key, title, words in (
        ("netem-loss", "a gigabyte of TCP, no loss", "loss 0%"),
        ("netem-delay", "a gigabyte of TCP, 1 ms later", "delay 1ms limit 10000"),
    )
)
