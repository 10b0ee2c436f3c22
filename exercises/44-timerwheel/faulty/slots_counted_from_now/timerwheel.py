#!/usr/bin/env python3
"""Keep many timers, cheaply, in wheels that turn at different speeds.

usage: timerwheel TICK_MS

Reads one command a line and answers each with one line. Time stands still but for `advance`:

    add rto 200           expires=200 level=0 slot=20
    advance 150           -
    advance 150           rto@200

What it shows: to set, stop and check a timer costs the same however many there are. A wheel has a
slot for each tick of its turn; what is too far away waits in the slot of a slower wheel, and moves
down when its turn comes. Linux kept its timers exactly so until 4.8 (kernel/time/timer.c); since
then it leaves them in the slower wheel, and lets them be late.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter

# Of each level: the bits of the tick that are below it, and the bits that number its slots.
LEVELS = ((0, 8), (8, 6), (14, 6), (20, 6))
MOST_TICKS = 1 << 26


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Turn the failure of a system call into one line on stderr and exit code 1."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        sys.exit(f"error: {call}: {name} ({error.strerror})")


def say(line: str) -> None:
    """Write a line at once: print() keeps it back when the output is a pipe or a file."""
    with calling("write"):
        os.write(-1 if sys.stdout is None else 1, f"{line}\n".encode())


class RefusedError(Exception):
    """The command cannot be carried out; the text is the name of the error."""


class Timer:
    """A timer, and the slot that it is in."""

    def __init__(self, name: str, number: int, expires: int) -> None:
        self.name = name
        self.number = number  # in the order in which they were added
        self.expires = expires  # in ticks
        self.level = 0
        self.slot = 0


class Wheels:
    """Slots of timers, in four levels."""

    def __init__(self, tick_ms: int) -> None:
        self.tick_ms = tick_ms
        self.now_ms = 0
        self.tick = 0
        self.timers: dict[str, Timer] = {}
        # A dict for a slot: to take one timer out costs the same wherever it is. In C it is a list
        # that is linked both ways.
        self.slots: list[list[dict[str, Timer]]] = [[{} for _ in range(1 << n)] for _, n in LEVELS]
        self.pending = [0] * len(LEVELS)
        self.added = 0
        self.cascaded = 0

    def add(self, name: str, timeout_ms: int) -> Timer:
        if name in self.timers:
            raise RefusedError("EEXIST")
        # Up, never down: half a tick of the current one is over already, and early is wrong.
        expires = max(-((self.now_ms + timeout_ms) // -self.tick_ms), self.tick + 1)
        if expires - self.tick >= MOST_TICKS:
            raise RefusedError("ERANGE")
        timer = Timer(name, self.added, expires)
        self.added += 1
        self.timers[name] = timer
        self.place(timer)
        return timer

    def place(self, timer: Timer) -> None:
        """Put a timer where it belongs now: by how far away it is, and by when it expires."""
        ticks = timer.expires - self.tick
        timer.level = next(n for n, (low, bits) in enumerate(LEVELS) if ticks < 1 << (low + bits))
        low, bits = LEVELS[timer.level]
        # Not the tick counted from now: the slot has to be found from the tick alone, later.
        timer.slot = ((self.tick >> low) + (ticks >> low)) & ((1 << bits) - 1)
        self.slots[timer.level][timer.slot][timer.name] = timer
        self.pending[timer.level] += 1

    def take_out(self, timer: Timer) -> None:
        del self.slots[timer.level][timer.slot][timer.name]
        self.pending[timer.level] -= 1

    def cancel(self, name: str) -> None:
        timer = self.find(name)
        self.take_out(timer)
        del self.timers[name]

    def find(self, name: str) -> Timer:
        if name not in self.timers:
            raise RefusedError("ENOENT")
        return self.timers[name]

    def advance(self, ms: int) -> Iterator[Timer]:
        """Let time pass, and yield what expires, in order."""
        self.now_ms += ms
        last = self.now_ms // self.tick_ms
        while self.tick < last:
            # Where the fast wheels are empty there is nothing to be seen on each of their ticks.
            busy = next((n for n, count in enumerate(self.pending) if count), None)
            step = 1 << (LEVELS[busy][0] if busy is not None else 30)
            self.tick = min(last, (self.tick // step + 1) * step)
            for level in range(1, len(LEVELS)):
                # A wheel moves by a slot when the one below it has come round.
                if self.tick & ((1 << LEVELS[level][0]) - 1):
                    break
                self.cascade(level)
            yield from self.expire()

    def cascade(self, level: int) -> None:
        """Move the timers of the slot whose time has come to the levels below."""
        low, bits = LEVELS[level]
        for timer in list(self.slots[level][(self.tick >> low) & ((1 << bits) - 1)].values()):
            self.take_out(timer)
            self.place(timer)
            self.cascaded += 1

    def expire(self) -> Iterator[Timer]:
        slot = self.slots[0][self.tick & 255]
        # Those that came down from above lie behind others that were added after them.
        for timer in sorted(slot.values(), key=attrgetter("number")):
            self.take_out(timer)
            del self.timers[timer.name]
            yield timer


def to_ms(text: str, least: int = 0) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) >= least):
        raise RefusedError("EINVAL")
    return int(text)


def carry_out(wheels: Wheels, line: str) -> str:
    match line.split():
        case ["add", name, timeout_ms]:
            timer = wheels.add(name, to_ms(timeout_ms))
        case ["where", name]:
            timer = wheels.find(name)
        case ["cancel", name]:
            wheels.cancel(name)
            return "ok"
        case ["advance", ms]:
            expired = wheels.advance(to_ms(ms))
            return (
                " ".join(f"{each.name}@{each.expires * wheels.tick_ms}" for each in expired) or "-"
            )
        case ["stats"]:
            return f"pending={len(wheels.timers)} cascaded={wheels.cascaded}"
        case _:
            raise RefusedError("EINVAL")
    return f"expires={timer.expires * wheels.tick_ms} level={timer.level} slot={timer.slot}"


def main(arguments: list[str]) -> None:
    try:
        [tick_ms] = [to_ms(text, least=1) for text in arguments]
    except (RefusedError, ValueError):
        print("usage: timerwheel TICK_MS", file=sys.stderr)
        sys.exit(2)
    if sys.stdin is None:  # started with `<&-`
        sys.exit("error: read: EBADF (Bad file descriptor)")
    wheels = Wheels(tick_ms)
    for line in sys.stdin:
        try:
            say(carry_out(wheels, line))
        except RefusedError as error:
            say(f"error: {error}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
