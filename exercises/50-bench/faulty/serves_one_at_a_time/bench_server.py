#!/usr/bin/env python3
"""Receive what is sent to measure a network, and tell how much came in what time.

usage: bench_server [ADDRESS [PORT]]        (0.0.0.0 8095)

A client says in its first line what it wants (BENCH/1):

    SINK    bytes follow, up to its FIN; the answer is BYTES NS
    ECHO    every byte comes back, up to its FIN
    UDP     the answer is a port; datagrams go there, then END comes; the answer is DATAGRAMS BYTES NS

What it shows: how much went through is known where it arrives. NS is the time from the first piece
to the last, by the receiver's clock.
"""

import errno
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

MAX_LINE = 100


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
    # Started with `>&-`, our own socket would be descriptor 1: make the call fail instead.
    with calling("write"):
        os.write(-1 if sys.stdout is None else 1, f"{line}\n".encode())


def endpoint(address: str, port: str) -> tuple[str, int]:
    """Check what the user typed. Python would look up in the DNS what is no address."""
    try:
        socket.inet_pton(socket.AF_INET, address)
    except (OSError, UnicodeError):
        sys.exit(f'error: address: "{address}" is not an IPv4 address')
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        sys.exit(f'error: port: "{port}" is not a number from 0 to 65535')
    return address, int(port)


class Tally:
    """How many pieces and bytes have come, and the time from the first to the last."""

    def __init__(self) -> None:
        self.pieces = 0
        self.bytes = 0
        self.first_ns = 0
        self.last_ns = 0

    def add(self, size: int) -> None:
        # Taken here, when something is there: what happens before the first piece and after the
        # last one (a client that thinks, a handshake, a FIN) is no part of the measurement.
        self.last_ns = time.monotonic_ns()
        self.first_ns = self.first_ns or self.last_ns
        self.pieces += 1
        self.bytes += size

    @property
    def ns(self) -> int:
        return self.last_ns - self.first_ns


def read_line(connection: socket.socket, buffer: bytes = b"") -> tuple[bytes, bytes]:
    """Return the next line and what has come behind it; an empty line at the end of the stream."""
    while b"\n" not in buffer and len(buffer) <= MAX_LINE:
        received = connection.recv(4096)
        if not received:
            return b"", b""
        buffer += received
    line, _, rest = buffer.partition(b"\n")
    return line, rest


def sink(connection: socket.socket, rest: bytes) -> None:
    """Count bytes up to the client's FIN."""
    tally = Tally()
    if rest:
        tally.add(len(rest))
    while received := connection.recv(65536):
        tally.add(len(received))
    connection.sendall(b"%d %d\n" % (tally.bytes, tally.ns))


def echo(connection: socket.socket, rest: bytes) -> None:
    """Send every byte back."""
    # Without this a small answer would wait for the ACK of the one before (Nagle).
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(rest)
    while received := connection.recv(65536):
        connection.sendall(received)


def count_datagrams(connection: socket.socket, rest: bytes) -> None:
    """Count datagrams until the client says that it has sent all."""
    tally = Tally()
    # At the address that the client reached, and a port of its own for each run.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((connection.getsockname()[0], 0))
        udp.setblocking(False)
        connection.sendall(b"%d\n" % udp.getsockname()[1])
        both = select.poll()
        both.register(udp, select.POLLIN)
        both.register(connection, select.POLLIN)
        has_ended = bool(rest)
        while not has_ended:
            ready = [descriptor for descriptor, _ in both.poll()]
            count_waiting(udp, tally)
            has_ended = connection.fileno() in ready
        read_line(connection, rest)
        # END has come behind the datagrams: those that arrived at all are in the queue by now.
        count_waiting(udp, tally)
    connection.sendall(b"%d %d %d\n" % (tally.pieces, tally.bytes, tally.ns))


def count_waiting(udp: socket.socket, tally: Tally) -> None:
    with suppress(BlockingIOError):
        while True:
            tally.add(len(udp.recv(65536)))


def serve_one(connection: socket.socket) -> None:
    with connection, suppress(OSError):  # a client that leaves ends its own run, nothing else
        line, rest = read_line(connection)
        match line:
            case b"SINK":
                sink(connection, rest)
            case b"ECHO":
                echo(connection, rest)
            case b"UDP":
                count_datagrams(connection, rest)


def main(arguments: list[str]) -> None:
    if len(arguments) > 2:
        print("usage: bench_server [ADDRESS [PORT]]", file=sys.stderr)
        sys.exit(2)
    address, port = arguments + ["0.0.0.0", "8095"][len(arguments) :]
    wanted = endpoint(address, port)
    with calling("socket"):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with listener:
        with calling("setsockopt"):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with calling("bind"):
            listener.bind(wanted)
        with calling("listen"):
            listener.listen(16)
        if wanted[1] == 0:
            say(f"bound to {listener.getsockname()[0]}:{listener.getsockname()[1]}")
        say("READY")
        while True:
            with calling("accept"):
                connection, _ = listener.accept()
            serve_one(connection)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
