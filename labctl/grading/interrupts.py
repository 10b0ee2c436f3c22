"""What interrupts a command that runs checks, and moments in which it must not."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_INTERRUPTING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def uninterrupted() -> Iterator["set[signal.Signals | int]"]:
    """Put off what interrupts this process; yield the signals that were blocked before.

    For moments in which an interrupt would be lost, or something that has begun forgotten: around
    a fork, or while a pool starts its threads, which never hear of any interrupt then.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTING)
    try:
        yield before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
