"""The command line of the benchmarks."""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.bench import Bench, Row
from benchmarks.contenders import HERE, SCRATCH, Unavailable, in_scratch
from benchmarks.report import Result, as_json, readme_section, table, with_section
from benchmarks.rows import ROWS
from labctl.errors import LabError, machine_error

README = HERE / "README.md"
QUICK = 5
"""How much shorter ``--quick`` is."""


def main(argv: Sequence[str]) -> int:
    """Measure what the command line asks for; return the exit code."""
    options = _options(argv)
    try:
        rows = _chosen(options.only)
        if options.write_readme:
            if options.only:
                raise LabError("--write-readme needs every row", hint="leave --only out")
            with_section(README.read_text(), "")  # better refused now than after the measuring
        if os.geteuid() != 0 and all(row.needs_root for row in rows):
            raise machine_error(
                "these rows make network namespaces in /run/netns, which needs root",
                hint=" ".join(["sudo", sys.executable, "benchmarks/run.py", *argv]),
            )
        if os.geteuid() == 0 and not in_scratch():
            _start_again_in_scratch(argv)
        # In the scratch this is memory that is gone with it.
        parent = SCRATCH if in_scratch() else None
        with tempfile.TemporaryDirectory(prefix="labctl-benchmark-", dir=parent) as folder:
            results = [_measure(row, options, Path(folder)) for row in rows]
        print(json.dumps(as_json(results)) if options.json else "\n".join(table(results)))
        if options.write_readme:
            README.write_text(with_section(README.read_text(), readme_section(results)))
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 3 if any(result.failed for result in results) else 0


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/run.py",
        description="Measures labctl's budgets side by side, as ratios.",
        epilog="rows: " + ", ".join(row.key for row in ROWS),
    )
    parser.add_argument("--only", metavar="ROW", action="append", help="this row; may be repeated")
    parser.add_argument("--runs", metavar="N", type=_positive, help="rounds, instead of each row's")
    parser.add_argument("--quick", action="store_true", help=f"a {QUICK}th of the rounds")
    parser.add_argument("--json", action="store_true", help="print every sample, as JSON")
    parser.add_argument(
        "--write-readme", action="store_true", help="put the table into benchmarks/README.md"
    )
    return parser.parse_args(argv)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f'"{text}" is not a number of rounds')
    return int(text)


def _chosen(keys: Sequence[str] | None) -> list[Row]:
    if keys is None:
        return list(ROWS)
    known = {row.key: row for row in ROWS}
    for key in keys:
        if key not in known:
            raise LabError(f'no row is called "{key}"', hint=f"these are: {' '.join(known)}")
    return [known[key] for key in keys]


def _start_again_in_scratch(argv: Sequence[str]) -> None:
    """Replace this process by one whose /run, /etc, processes and interfaces are its own."""
    unshare = shutil.which("unshare")
    if unshare is None:
        raise machine_error("no unshare command", hint="install util-linux")
    os.execve(
        unshare,
        [
            unshare,
            *("--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"),
            *("sh", str(HERE / "scratch.sh")),
            sys.executable,
            str(HERE / "run.py"),
            *argv,
        ],
        {**os.environ, "TMPDIR": str(SCRATCH)},
    )


def _measure(row: Row, options: argparse.Namespace, folder: Path) -> Result:
    if row.needs_root and os.geteuid() != 0:
        return Result(row, None, "needs root")
    rounds = options.runs or (max(1, row.rounds // QUICK) if options.quick else row.rounds)

    def progress(done: int) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{row.key} {done}/{rounds}", end="", file=sys.stderr, flush=True)

    progress(0)
    bench = Bench(folder, rounds, progress)
    try:
        return Result(row, row.measure(bench))
    except Unavailable as reason:
        return Result(row, None, str(reason))
    except LabError as error:
        hint = f" ({error.hint})" if error.hint else ""
        return Result(row, None, f"{error}{hint}", failed=True)
    finally:
        bench.clear()
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)
