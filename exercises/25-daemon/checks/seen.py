"""A daemon as the kernel shows it from outside, in proc(5)."""

import os
import stat
from pathlib import Path
from typing import NamedTuple

from labctl.testing import WITHIN_S, Program, Submission, unmet, until

COMMAND = ("sleep", "1000")

NULL = os.makedev(1, 3)
UMASK = "0027"
OPEN_FILE = 9
"""What it has from the shell that starts it, as in shell.py."""

_SHELL = Path(__file__).with_name("shell.py").read_text()


_OF_THE_C_LIBRARY = 1 << 31 | 1 << 32
"""Signals 32 and 33: no program can say what becomes of them; whoever started labctl can."""


class Seen(NamedTuple):
    """One process."""

    pid: int
    parent: int
    session: int
    terminal: int
    """The device's number; 0 where there is none."""
    folder: str
    umask: str
    ignored: int
    blocked: int
    files: dict[int, tuple[int, int]]
    """Of each descriptor, the device's number (0 where it is none) and how it was opened."""


def start(submission: Submission, *arguments: str) -> Program:
    """Type a command into a shell."""
    return submission.start(
        "host", "daemonize", *arguments, ready=False, through=("python3", "-c", _SHELL)
    )


def returned(shell: Program, hint: str) -> str:
    """Wait until the shell has the command back; return how that ended."""
    return shell.line(expected="the command ends, and the shell goes on", hint=hint)


def daemon_of(shell: Program) -> Seen:
    """Wait for the daemon; return what the kernel shows of it."""
    found: list[int] = []

    def is_there() -> bool:
        found[:] = [pid for pid in shell.pids()[1:] if _command(pid) == COMMAND and _sleeps(pid)]
        return bool(found)

    if not until(is_there, WITHIN_S):
        unmet(
            f"`{' '.join(COMMAND)}` runs",
            "there is no such process",
            "fork() and setsid(), and in the process that is left exec()",
        )
    return seen(found[0])


def daemon(submission: Submission, flags: str = "0") -> tuple[Program, Seen]:
    """Start one as the first check has seen that it works."""
    shell = start(submission, flags, *COMMAND)
    returned(shell, "the first process ends when the daemon runs")
    return shell, daemon_of(shell)


def seen(pid: int) -> Seen:
    folder = f"/proc/{pid}"
    # The name in field 2 may hold blanks; the last parenthesis ends it.
    fields = Path(folder, "stat").read_text().rpartition(")")[2].split()
    lines = Path(folder, "status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    files = {}
    for name in os.listdir(f"{folder}/fd"):
        found = os.stat(f"{folder}/fd/{name}")
        flags = Path(folder, "fdinfo", name).read_text().split("flags:", 1)[1].split()[0]
        device = found.st_rdev if stat.S_ISCHR(found.st_mode) else 0
        files[int(name)] = (device, int(flags, 8) & os.O_ACCMODE)
    return Seen(
        pid=pid,
        parent=int(fields[1]),
        session=int(fields[3]),
        terminal=int(fields[4]),
        folder=os.readlink(f"{folder}/cwd"),
        umask=status["Umask"],
        ignored=int(status["SigIgn"], 16) & ~_OF_THE_C_LIBRARY,
        blocked=int(status["SigBlk"], 16) & ~_OF_THE_C_LIBRARY,
        files=files,
    )


def _sleeps(pid: int) -> bool:
    """Whether it has begun what it is for: as it starts, its loader has files of its own open."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"
    except OSError:
        return False


def _command(pid: int) -> tuple[str, ...]:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:
        return ()
    return tuple(word.decode(errors="replace") for word in words)
