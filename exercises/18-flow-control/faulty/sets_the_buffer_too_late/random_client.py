#!/usr/bin/env python3
"""Fetch a stream of random bytes and write it to stdout, no faster than that takes it.

usage: random_client ADDRESS PORT [-s SEED] [-n LENGTH] [-b BYTES] [-i]

Protocol: RANDOM/1, see random_protocol.py. Asks for LENGTH (1048576) bytes of the stream that
belongs to SEED (1). ``-b`` sets the size of the receive buffer. With ``-i`` it goes step by step:
for each line of its input, a number, it receives so many bytes.

stdout: the bytes. stderr: ``received N bytes``. Exit 0; a stream that ends early, or a failed call:
``error: recv: …``, exit 1.

What it shows: who does not call recv() slows down the sender, wherever that is. Each piece is
written before the next is received; so if stdout is a pipe that nobody reads, write() waits, the
receive buffer fills, the window closes, and the server waits for whoever reads the pipe.
"""

import errno
import getopt
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from random_protocol import LARGEST_LENGTH, LARGEST_SEED, PIECE, request


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Turn the failure of a system call into one line on stderr and exit code 1."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        sys.exit(f"error: {call}: {name} ({error.strerror})")


def number(name: str, text: str, smallest: int, largest: int) -> int:
    """Check a number that the user typed."""
    if text.isascii() and text.isdigit() and len(text) <= len(str(largest)):
        value = int(text)
        if smallest <= value <= largest:
            return value
    sys.exit(f'error: {name}: "{text}" is not a number from {smallest} to {largest}')


def endpoint(address: str, port: str) -> tuple[str, int]:
    """Check what the user typed. Python would look up in the DNS what is no address."""
    try:
        socket.inet_pton(socket.AF_INET, address)
    except (OSError, UnicodeError):
        sys.exit(f'error: address: "{address}" is not an IPv4 address')
    return address, number("port", port, 1, 65535)


def write(data: bytes) -> None:
    """Write all of it to stdout: write() may take a part."""
    # Started with `>&-`, our own socket would be descriptor 1: make the call fail instead.
    stdout = -1 if sys.stdout is None else 1
    while data:
        with calling("write"):
            data = data[os.write(stdout, data) :]


def receive(sock: socket.socket, most: int, so_far: int) -> int:
    """Receive so many bytes and write them; return how many it were."""
    left = most
    while left > 0:
        with calling("recv"):
            # At most what is asked for: what is left unread keeps the window closed.
            data = sock.recv(min(left, PIECE))
        if not data:
            sys.exit(f"error: recv: the stream has ended after {so_far + most - left} bytes")
        write(data)
        left -= len(data)
    return most


def steps(length: int, is_stepwise: bool) -> Iterator[int]:
    """Yield how many bytes to receive next: all of them, or what each line of stdin says."""
    if not is_stepwise:
        yield length
        return
    while length > 0:
        with calling("read"):
            line = sys.stdin.buffer.readline()
        if not line:
            return
        step = min(length, number("input", line.decode("latin-1").strip(), 0, LARGEST_LENGTH))
        yield step
        length -= step


def main(arguments: list[str]) -> None:
    try:
        options, (address, port) = getopt.gnu_getopt(arguments, "s:n:b:i")
    except (getopt.GetoptError, ValueError):
        usage = "usage: random_client ADDRESS PORT [-s SEED] [-n LENGTH] [-b BYTES] [-i]"
        print(usage, file=sys.stderr)
        sys.exit(2)
    given = dict(options)
    server = endpoint(address, port)
    seed = number("-s", given.get("-s", "1"), 0, LARGEST_SEED)
    length = number("-n", given.get("-n", "1048576"), 0, LARGEST_LENGTH)
    buffer_size = number("-b", given.get("-b", "0"), 0, 2**30)
    if "-i" in given and sys.stdin is None:  # started with `<&-`
        sys.exit("error: read: EBADF (Bad file descriptor)")
    with calling("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with sock:
        with calling("connect"):
            sock.connect(server)
        if buffer_size:
            with calling("setsockopt"):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_size)
        with calling("send"):
            sock.sendall(request(seed, length))
        received = 0
        for step in steps(length, "-i" in given):
            received += receive(sock, step, received)
    print(f"received {received} bytes", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
