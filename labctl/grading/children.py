"""Does jobs in processes of their own, several at once; none of them outlives this process."""

import json
import os
import selectors
import signal
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

from labctl.kernel.interrupts import uninterrupted
from labctl.kernel.namespaces import die_with_parent

Say = Callable[[Any], None]
"""Sends one value, of what JSON has, to the process that gave the job."""

_END_WITHIN_S = 30.0
"""Between SIGINT and SIGKILL: a job has labs to take down."""


class Said(NamedTuple):
    """What a job has sent."""

    job: int
    value: Any


class Ended(NamedTuple):
    """The process of a job is gone."""

    job: int
    exit_status: int
    """As ``subprocess`` has it."""


class _Child:
    def __init__(self, job: int, pid: int, fd: int) -> None:
        self.job = job
        self.pid = pid
        self.fd = fd
        self.unread = b""


def do_jobs(
    count: int, work: Callable[[int, Say], None], at_once: int
) -> Generator[Said | Ended, None, None]:
    """Call ``work(job, say)`` for each number below ``count``; yield all that is said meanwhile.

    Whatever ends the iteration, ``KeyboardInterrupt`` too, ends what still runs: by the same
    exception in it, and after half a minute by force.
    """
    waiting = list(range(count))
    children: dict[int, _Child] = {}
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or children:
                while waiting and len(children) < at_once:
                    # An interrupt that comes now is heard when both processes know what they are.
                    with uninterrupted() as mask:
                        child = _start(waiting.pop(0), work, list(children), mask)
                        children[child.fd] = child
                        selector.register(child.fd, selectors.EVENT_READ)
                for key, _ in selector.select():
                    child = children[key.fd]
                    data = os.read(child.fd, 1 << 16)
                    *lines, child.unread = (child.unread + data).split(b"\n")
                    yield from (Said(child.job, json.loads(line)) for line in lines)
                    if not data:
                        selector.unregister(child.fd)
                        del children[child.fd]
                        yield Ended(child.job, _reap(child))
        finally:
            _end(list(children.values()))


def _start(
    job: int,
    work: Callable[[int, Say], None],
    others: Sequence[int],
    mask: "set[signal.Signals | int]",
) -> _Child:
    read, write = os.pipe2(os.O_CLOEXEC)
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        for fd in (read, *others):
            os.close(fd)
        _be_child(job, work, write, parent, mask)
    os.close(write)
    return _Child(job, pid, read)


def _be_child(
    job: int,
    work: Callable[[int, Say], None],
    fd: int,
    parent: int,
    mask: "set[signal.Signals | int]",
) -> None:
    """Do the job, and end. Nothing may leave this function: above it is the parent's work."""
    code = 1
    try:
        # Out of the terminal's reach: the parent hears Ctrl-C, and ends this process once.
        os.setpgid(0, 0)
        die_with_parent(signal.SIGKILL)
        if os.getppid() != parent:
            return
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

        def say(value: object) -> None:
            data = json.dumps(value).encode() + b"\n"
            while data:
                data = data[os.write(fd, data) :]

        work(job, say)
        code = 0
    except KeyboardInterrupt:
        code = 130
    finally:
        os._exit(code)


def _end(children: Sequence[_Child]) -> None:
    try:
        for child in children:
            os.kill(child.pid, signal.SIGINT)
        deadline = time.monotonic() + _END_WITHIN_S
        with selectors.DefaultSelector() as selector:
            left = {child.fd for child in children}
            for fd in left:
                selector.register(fd, selectors.EVENT_READ)
            while left and (left_s := deadline - time.monotonic()) > 0:
                for key, _ in selector.select(left_s):
                    if not os.read(key.fd, 1 << 16):
                        selector.unregister(key.fd)
                        left.discard(key.fd)
    finally:
        for child in children:
            os.kill(child.pid, signal.SIGKILL)
            _reap(child)


def _reap(child: _Child) -> int:
    os.close(child.fd)
    _, status = os.waitpid(child.pid, 0)
    return os.waitstatus_to_exitcode(status)
