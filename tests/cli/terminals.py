"""A terminal with a program in it, as a person at the keyboard has: type, and see what comes."""

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from typing import Self

from tests.limits import LIMIT_S

CTRL_C, CTRL_D, CTRL_Z = "\x03", "\x04", "\x1a"


class Terminal:
    """A pseudo-terminal and the session that runs in it; leaving the ``with`` block hangs up."""

    def __init__(
        self,
        command: list[str],
        environment: Mapping[str, str],
        *,
        rows: int = 24,
        columns: int = 80,
        cwd: str | os.PathLike[str] | None = None,
        is_held: bool = False,
    ) -> None:
        """``is_held``: whoever writes to the terminal waits until ``let_go``."""
        self._ours, theirs = os.openpty()
        self._name = os.ttyname(theirs)
        self.resize(rows, columns)
        if is_held:
            termios.tcflow(theirs, termios.TCOOFF)
        # Not group leader, so setsid(1) need not fork: the process is the session's leader.
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            cwd=cwd,
        )
        os.close(theirs)
        self.shown = ""
        """All that has been on the screen, escape codes included."""
        self._seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._ours)
        try:
            self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def resize(self, rows: int, columns: int) -> None:
        """Change the window's size."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def let_go(self) -> None:
        """Let what has waited with its output go on."""
        theirs = os.open(self._name, os.O_RDWR | os.O_NOCTTY)
        termios.tcflow(theirs, termios.TCOON)
        os.close(theirs)

    def type(self, text: str) -> None:
        """Type the text; nothing is added to it."""
        os.write(self._ours, text.encode())

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait until the pattern is shown, after all that was expected before."""
        deadline = time.monotonic() + LIMIT_S
        while not (match := re.compile(pattern).search(self.shown, self._seen)):
            assert self._read(deadline), (
                f"{pattern!r} did not come; on the screen since then: {self.shown[self._seen :]!r}"
            )
        self._seen = match.end()
        return match

    def end(self) -> int:
        """Read until the session ends; return its exit status as subprocess gives it."""
        deadline = time.monotonic() + LIMIT_S
        while self._read(deadline):
            pass
        return self.process.wait(max(0.0, deadline - time.monotonic()))

    def _read(self, deadline: float) -> bool:
        poll = select.poll()
        poll.register(self._ours, select.POLLIN)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            return False
        try:
            data = os.read(self._ours, 65536)
        except OSError:
            return False  # nobody has the other side any more
        self.shown += data.decode(errors="replace")
        return bool(data)
