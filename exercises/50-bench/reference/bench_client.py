#!/usr/bin/env python3
"""Measure a network: what goes through, what is lost, and how long an answer takes.

usage: bench_client ADDRESS PORT [-u | -l] [-n N] [-s SIZE]

Prints one JSON object. Without an option N bytes (1000000) go over TCP; with -u N datagrams (100)
of SIZE bytes (1000) over UDP; with -l N messages (100) of SIZE bytes (1000) go there and back over
TCP, one after the other.

What it shows: send() succeeds when the bytes are in a buffer. So the sender knows what it has sent
and the receiver what has arrived, and only the second is a throughput. Of latencies an average says
little: they are sorted, and the one in the middle and those at the end are told.
"""

import errno
import getopt
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

USAGE = "usage: bench_client ADDRESS PORT [-u | -l] [-n N] [-s SIZE]"
LIMIT_S = 30.0
"""No answer takes that long."""


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


def number(name: str, text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and least <= int(text) <= most):
        sys.exit(f'error: {name}: "{text}" is not a number from {least} to {most}')
    return int(text)


def connect(server: tuple[str, int]) -> socket.socket:
    with calling("socket"):
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.settimeout(LIMIT_S)
    with calling("connect"):
        connection.connect(server)
    return connection


def read_numbers(connection: socket.socket, count: int) -> list[int]:
    """Return the numbers of the server's next line."""
    line = b""
    while not line.endswith(b"\n"):
        received = connection.recv(100)
        if not received:
            sys.exit("error: recv: the server has closed the connection")
        line += received
    words = line.split()
    if len(words) != count or not all(word.isdigit() for word in words):
        sys.exit(f"error: recv: not an answer of BENCH/1: {line!r}")
    return [int(word) for word in words]


def per_second(size: int, ns: int) -> int:
    """Return bits per second."""
    return 8 * size * 10**9 // ns if ns else 0


def throughput(server: tuple[str, int], size: int) -> dict[str, object]:
    """Send bytes; return what the receiver says of them."""
    with connect(server) as connection, calling("send"):
        connection.sendall(b"SINK\n")
        piece = bytes(65536)
        left = size
        while left:
            # Counted by what send() took, which may be less than it was given.
            left -= connection.send(piece[: min(left, len(piece))])
        connection.shutdown(socket.SHUT_WR)
        received, ns = read_numbers(connection, 2)
    return {"sent": size, "received": received, "ns": ns, "bps": per_second(received, ns)}


def datagrams(server: tuple[str, int], count: int, size: int) -> dict[str, object]:
    """Send datagrams; return how many of them have arrived."""
    with connect(server) as connection, calling("send"):
        connection.sendall(b"UDP\n")
        [port] = read_numbers(connection, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            for sequence in range(count):
                udp.sendto(sequence.to_bytes(4, "big").ljust(size, b"\0"), (server[0], port))
        connection.sendall(b"END\n")
        received, received_bytes, ns = read_numbers(connection, 3)
    return {
        "sent": count,
        "received": received,
        "lost": count - received,
        "ns": ns,
        "bps": per_second(received_bytes, ns),
    }


def latency(server: tuple[str, int], count: int, size: int) -> dict[str, object]:
    """Send messages there and back; return how long each took, and what is typical of them."""
    samples = []
    with connect(server) as connection, calling("send"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"ECHO\n")
        for _ in range(count):
            start_ns = time.monotonic_ns()
            connection.sendall(bytes(size))
            left = size
            while left:
                # An answer may come in pieces: it is here when its last byte is.
                received = connection.recv(left)
                if not received:
                    sys.exit("error: recv: the server has closed the connection")
                left -= len(received)
            samples.append(time.monotonic_ns() - start_ns)
    in_order = sorted(samples)
    return {
        "count": count,
        "min_ns": in_order[0],
        "p50_ns": percentile(in_order, 50),
        "p99_ns": percentile(in_order, 99),
        "max_ns": in_order[-1],
        "samples_ns": samples,
    }


def percentile(in_order: list[int], percent: int) -> int:
    """Return the smallest sample that so many percent of all are not above (nearest rank)."""
    rank = -(-percent * len(in_order) // 100)  # rounded up
    return in_order[max(rank, 1) - 1]


def main(arguments: list[str]) -> None:
    try:
        given, (address, port_text) = getopt.gnu_getopt(arguments, "uln:s:")
    except (getopt.GetoptError, ValueError):
        print(USAGE, file=sys.stderr)
        sys.exit(2)
    options = dict(given)
    if "-u" in options and "-l" in options:
        print(USAGE, file=sys.stderr)
        sys.exit(2)
    try:
        socket.inet_pton(socket.AF_INET, address)
    except (OSError, UnicodeError):
        sys.exit(f'error: address: "{address}" is not an IPv4 address')
    server = (address, number("port", port_text, 1, 65535))
    size = number("-s", options.get("-s", "1000"), 4, 65507)
    if "-u" in options:
        result = datagrams(server, number("-n", options.get("-n", "100"), 1, 10**9), size)
    elif "-l" in options:
        result = latency(server, number("-n", options.get("-n", "100"), 1, 10**6), size)
    else:
        result = throughput(server, number("-n", options.get("-n", "1000000"), 1, 10**9))
    say(json.dumps(result))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
