"""Being told to end, by timeout(1) or by a machine that shuts down, as tidily as by Ctrl-C."""

import signal
from types import FrameType
from typing import NoReturn


class Terminated(KeyboardInterrupt):
    """A signal has come that ends this process; whatever it has begun is undone first."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number
        """What a shell reports of a process that the signal has ended."""


def end_tidily() -> None:
    """Let SIGTERM and SIGHUP be as SIGINT, unless whoever started this process ignores them."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def interrupted_code(error: KeyboardInterrupt) -> int:
    """Return the exit code of a command that was ended."""
    return error.exit_code if isinstance(error, Terminated) else 130


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated(number)
