#!/usr/bin/env python3
"""Pass bytes from a producer to a consumer in a ring, without copying where it can be helped.

usage: ring SIZE [START]

SIZE is rounded up to a power of two; START is where both indices begin (0). Reads one command a
line and answers each with one line; README.md has them all.

    write 68656c6c6f      wrote 5
    spans                 0+5
    read 2                6865

What it shows: two indices that only grow. Their difference is how much there is, and their lowest
bits are where it is. The producer writes one of them, the consumer the other, so neither needs a
lock; and full (SIZE apart) is not mistaken for empty (equal), with no slot lost.
"""

import errno
import os
import socket
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

MODULUS = 1 << 32  # the indices are u32. SIZE divides 2**32, so their low bits go on correctly.


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


class Held:
    """Bytes that somebody reads in place; they stay while anybody does."""

    def __init__(self, number: int, start: int, count: int) -> None:
        self.number = number
        self.start = start
        self.count = count
        self.references = 1


class Ring:
    """released <= tail <= head, and head - released <= size, in the circle of 2**32."""

    def __init__(self, size: int, start: int) -> None:
        self.size = 1
        while self.size < size:
            self.size *= 2
        self.memory = bytearray(self.size)
        self.head = start % MODULUS  # of the producer: the next byte to be written
        self.tail = self.head  # of the consumer: the next byte to be read
        self.released = self.head  # what is before it may be written again
        self.held: deque[Held] = deque()
        self.next_number = 1

    @property
    def used(self) -> int:
        return (self.head - self.tail) % MODULUS

    @property
    def free(self) -> int:
        return self.size - (self.head - self.released) % MODULUS

    def spans(self, start: int, count: int) -> list[tuple[int, int]]:
        """Return where so many bytes are: one piece, or two where they go over the end."""
        offset = start & (self.size - 1)
        first = min(count, self.size - offset)
        return [span for span in ((offset, first), (0, count - first)) if span[1]]

    def views(self, start: int, count: int) -> list[memoryview]:
        memory = memoryview(self.memory)
        return [memory[offset : offset + length] for offset, length in self.spans(start, count)]

    def write(self, octets: bytes) -> int:
        """Write what fits; return how much that was."""
        rest = memoryview(octets)[: self.free]
        count = len(rest)
        for view in self.views(self.head, count)[:1]:
            view[:] = rest[: len(view)]
        # Only now: before the index moves, the consumer does not look at these bytes. In C that
        # takes a store with release order, and a load with acquire order on the other side.
        self.head = (self.head + count) % MODULUS
        return count

    def read(self, count: int) -> bytes:
        """Copy what is there, and let go of it."""
        octets = b"".join(self.views(self.tail, min(count, self.used)))
        self.tail = (self.tail + len(octets)) % MODULUS
        self.release()
        return octets

    def take(self, count: int) -> Held:
        """Hand bytes over where they are."""
        if not 0 < count <= self.used:
            raise RefusedError("EAGAIN")
        held = Held(self.next_number, self.tail, count)
        self.next_number += 1
        self.held.append(held)
        self.tail = (self.tail + count) % MODULUS
        return held

    def drop(self, held: Held) -> None:
        held.references -= 1
        self.release()

    def release(self) -> None:
        """Give the producer what nobody reads any more, up to the oldest that somebody does."""
        while self.held and not self.held[0].references:
            self.held.popleft()
        self.released = self.held[0].start if self.held else self.tail

    def find(self, number: str) -> Held:
        for held in self.held:
            if str(held.number) == number and held.references:
                return held
        raise RefusedError("EINVAL")

    def send(self, sock: socket.socket, port: int) -> int:
        """Send all that is there as one datagram, from where it is: two pieces, one system call."""
        count = self.used
        try:
            sock.sendmsg(self.views(self.tail, count), [], 0, ("127.0.0.1", port))
        except OSError as error:
            raise RefusedError(errno.errorcode.get(error.errno or 0, "EIO")) from None
        self.tail = (self.tail + count) % MODULUS
        self.release()
        return count

    def receive(self, sock: socket.socket) -> int:
        """Receive one datagram into the free room, wherever that is."""
        try:
            count, _, flags, _ = sock.recvmsg_into(self.views(self.head, self.free))
        except OSError as error:
            raise RefusedError(errno.errorcode.get(error.errno or 0, "EIO")) from None
        if flags & socket.MSG_TRUNC:
            raise RefusedError("EMSGSIZE")  # head has not moved, so nothing has been written
        self.head = (self.head + count) % MODULUS
        return count


def to_number(text: str, least: int = 0, most: int = MODULUS - 1) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and least <= int(text) <= most):
        raise RefusedError("EINVAL")
    return int(text)


def shown(spans: list[tuple[int, int]]) -> str:
    return " ".join(f"{offset}+{length}" for offset, length in spans) or "-"


def to_bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise RefusedError("EINVAL") from None


def carry_out(ring: Ring, sock: socket.socket, line: str) -> str:
    match line.split():
        case ["write", octets]:
            return f"wrote {ring.write(to_bytes(octets))}"
        case ["read", count]:
            return ring.read(to_number(count)).hex() or "-"
        case ["state"]:
            return f"used={ring.used} free={ring.free} head={ring.head} tail={ring.tail}"
        case ["spans"]:
            return shown(ring.spans(ring.tail, ring.used))
        case ["room"]:
            return shown(ring.spans(ring.head, ring.free))
        case ["take", count]:
            held = ring.take(to_number(count))
            return f"{held.number} {shown(ring.spans(held.start, held.count))}"
        case ["show", number]:
            held = ring.find(number)
            return b"".join(ring.views(held.start, held.count)).hex()
        case ["ref", number]:
            held = ring.find(number)
            held.references += 1
            return f"refs={held.references}"
        case ["drop", number]:
            held = ring.find(number)
            ring.drop(held)
            return f"refs={held.references}"
        case ["port"]:
            return f"port {sock.getsockname()[1]}"
        case ["send", port]:
            return f"sent {ring.send(sock, to_number(port, 1, 65535))}"
        case ["receive"]:
            return f"received {ring.receive(sock)}"
        case _:
            raise RefusedError("EINVAL")


def main(arguments: list[str]) -> None:
    try:
        size, start = map(to_number, [*arguments, "0"] if len(arguments) == 1 else arguments)
        if not 1 <= size <= 1 << 24:
            raise RefusedError("EINVAL")
    except (RefusedError, ValueError):
        print("usage: ring SIZE [START]", file=sys.stderr)
        sys.exit(2)
    if sys.stdin is None:  # started with `<&-`
        sys.exit("error: read: EBADF (Bad file descriptor)")
    ring = Ring(size, start)
    with calling("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with calling("bind"):
        sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    for line in sys.stdin:
        try:
            say(carry_out(ring, sock, line))
        except RefusedError as error:
            say(f"error: {error}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
