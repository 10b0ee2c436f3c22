#!/usr/bin/env python3
"""Build packets and take them apart without moving a byte that is there already.

usage: netbuf COUNT SIZE

A pool of COUNT buffers of SIZE bytes each. Reads one command a line; the answer is the room in
front of the data, its length, and the room behind it:

    alloc                 0 headroom=0 len=0 tailroom=1500
    reserve 0 64          0 headroom=64 len=0 tailroom=1436
    put 0 48656c6c6f      0 headroom=64 len=5 tailroom=1431

What it shows: data comes first and its headers later, so room is kept in front of it. Each layer
moves one of two marks, `data` and `tail`; nothing is copied from layer to layer. The kernel does
the same (struct sk_buff, include/linux/skbuff.h), and panics where this answers an error.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


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


class Buffer:
    """Bytes with two marks in them: 0 <= data <= tail <= size, always."""

    def __init__(self, size: int) -> None:
        self.memory = bytearray(size)
        self.data = self.tail = 0

    def __str__(self) -> str:
        tailroom = len(self.memory) - self.tail
        return f"headroom={self.data} len={self.tail - self.data} tailroom={tailroom}"

    def reset(self) -> None:
        # The bytes of the last user stay. Nobody sees them: all that is shown has been written.
        self.data = self.tail = 0

    def reserve(self, count: int) -> None:
        """Keep room for headers. Both marks move, so there must be no data between them yet."""
        if self.data != self.tail:
            raise RefusedError("EBUSY")
        if count > len(self.memory) - self.tail:
            raise RefusedError("ENOBUFS")
        self.tail += count

    def put(self, octets: bytes) -> None:
        """Write behind the data."""
        # Check first, then write: in C what does not fit lands in somebody else's memory.
        if len(octets) > len(self.memory) - self.tail:
            raise RefusedError("ENOBUFS")
        self.memory[self.tail : self.tail + len(octets)] = octets
        self.tail += len(octets)

    def push(self, octets: bytes) -> None:
        """Write in front of the data."""
        if len(octets) > self.data:
            raise RefusedError("ENOBUFS")
        self.data -= len(octets)
        self.memory[self.data : self.data + len(octets)] = octets

    def pull(self, count: int) -> None:
        """Take bytes away at the front. They become headroom: a router writes its own header there."""
        if count > self.tail - self.data:
            raise RefusedError("ENODATA")
        self.data += count

    def trim(self, count: int) -> None:
        """Leave so many bytes, and take away what is behind them."""
        if count > self.tail - self.data:
            raise RefusedError("ENODATA")
        self.tail = self.data + count

    def contents(self) -> str:
        return self.memory[self.data : self.tail].hex() or "-"


class Pool:
    """Buffers that were made once, and are lent."""

    def __init__(self, count: int, size: int) -> None:
        self.buffers = [Buffer(size) for _ in range(count)]
        self.lent: set[int] = set()

    def alloc(self) -> int:
        for number, buffer in enumerate(self.buffers):
            if number not in self.lent:
                self.lent.add(number)
                buffer.reset()
                return number
        raise RefusedError("ENOBUFS")

    def free(self, number: int) -> None:
        """Take a buffer back. One that was given back twice would be lent to two users at once."""
        self.get(number)
        self.lent.remove(number)

    def get(self, number: int) -> Buffer:
        if number not in self.lent:
            raise RefusedError("EINVAL")
        return self.buffers[number]


def to_count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise RefusedError("EINVAL")
    return int(text)


def to_bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise RefusedError("EINVAL") from None


def carry_out(pool: Pool, line: str) -> str:
    words = line.split()
    if words == ["alloc"]:
        number = pool.alloc()
        return f"{number} {pool.get(number)}"
    if len(words) < 2:
        raise RefusedError("EINVAL")
    number = to_count(words[1])
    buffer = pool.get(number)
    match [words[0], *words[2:]]:
        case ["free"]:
            pool.free(number)
            return "ok"
        case ["show"]:
            return buffer.contents()
        case ["reserve", count]:
            buffer.reserve(to_count(count))
        case ["put", octets]:
            buffer.put(to_bytes(octets))
        case ["push", octets]:
            buffer.push(to_bytes(octets))
        case ["pull", count]:
            buffer.pull(to_count(count))
        case ["trim", count]:
            buffer.trim(to_count(count))
        case _:
            raise RefusedError("EINVAL")
    return f"{number} {buffer}"


def main(arguments: list[str]) -> None:
    try:
        count, size = map(to_count, arguments)
    except (RefusedError, ValueError):
        print("usage: netbuf COUNT SIZE", file=sys.stderr)
        sys.exit(2)
    if sys.stdin is None:  # started with `<&-`
        sys.exit("error: read: EBADF (Bad file descriptor)")
    pool = Pool(count, size)
    for line in sys.stdin:
        try:
            say(carry_out(pool, line))
        except RefusedError as error:
            say(f"error: {error}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
