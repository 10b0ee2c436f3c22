"""The reference as somebody uses it who has closed one of the standard files before."""

import subprocess
from pathlib import Path

import pytest

from tests.exercises.running import run


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&-"])
def test_a_failure_is_told_whatever_was_closed(closed: str) -> None:
    prefix = ("sh", "-c", f'exec "$0" "$@" {closed}')
    done = run("daemon/daemonize", "0", "/nowhere/no-such-command", prefix=prefix)
    assert done.returncode == 1
    assert done.stderr == b"error: exec: ENOENT (No such file or directory)\n"


def test_the_command_gets_its_arguments_and_writes_where_it_says(tmp_path: Path) -> None:
    said = tmp_path / "said"
    subprocess.run(["mkfifo", said], check=True)
    done = run("daemon/daemonize", "0", "sh", "-c", f'echo "$0" "$1" >{said}', "a b", "c")
    assert done.returncode == 0
    # Opening waits for the writer, and reading for its end.
    assert said.read_text() == "a b c\n"


@pytest.mark.parametrize("flags", ["8", "20", "-1", "0x1", "", "0000"])
def test_flags_are_octal_and_no_more_than_17(flags: str) -> None:
    done = run("daemon/daemonize", flags, "true")
    assert done.returncode == 2
    assert done.stderr == b"usage: daemonize FLAGS COMMAND [ARGUMENT...]\n"
