"""Commands that begin much and are told to end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labctl.wait import until
from tests.cli.commands import Labctl
from tests.grading.whole_exercise import make_it_wait, write_exercise
from tests.limits import LIMIT_S

TELLS = """
import signal, sys
from labctl.cli.termination import end_tidily, interrupted_code
end_tidily()
try:
    print("ready", flush=True)
    signal.pause()
except KeyboardInterrupt as interrupt:
    sys.exit(interrupted_code(interrupt))
"""


def _ended_by(number: signal.Signals, *starter: str) -> int:
    with subprocess.Popen(
        [*starter, sys.executable, "-c", TELLS], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        if starter:
            process.terminate()
        return process.wait(LIMIT_S)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_exit_code_is_the_shells(number: signal.Signals) -> None:
    assert _ended_by(number) == 128 + number


def test_what_nohup_ignores_stays_ignored() -> None:
    # SIGHUP first: had it counted, that would be how it ended, also if both come at once.
    assert _ended_by(signal.SIGHUP, "env", "--ignore-signal=HUP") == 128 + signal.SIGTERM


@pytest.mark.kernel
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_verify_leaves_nothing(labctl: Labctl, number: signal.Signals, tmp_path: Path) -> None:
    make_it_wait(write_exercise(labctl.folder))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    labctl.environment["TMPDIR"] = str(scratch)
    with labctl.running("verify", "shout", "--seeds", "1", "--rootless") as running:
        assert until(lambda: any(scratch.glob("labctl-run-*")), LIMIT_S)
        os.kill(running.process.pid, number)
        code, said = running.end()

    assert (code, said) == (128 + number, "")
    assert list(scratch.iterdir()) == []
