"""Moments in which nothing may interrupt a process: around a fork above all.

What comes during ``os.fork()`` is seen in the callbacks of ``os.register_at_fork()``, of which
``logging`` has some, and there Python ignores the ``KeyboardInterrupt``: it is lost.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_INTERRUPTING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def uninterrupted() -> Iterator["set[signal.Signals | int]"]:
    """Put off what interrupts this process; yield the signals that were blocked before.

    For moments in which an interrupt would be lost, or something that has begun forgotten: around
    a fork, or while a pool starts its threads, which never hear of any interrupt then. A child that
    is forked meanwhile has nothing to put off: it goes back to the signals that it is given here
    when it is ready to be interrupted.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTING)
    try:
        yield before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
