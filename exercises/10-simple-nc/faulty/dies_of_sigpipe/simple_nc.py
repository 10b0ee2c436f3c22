#!/usr/bin/env python3
"""Connect to a TCP server and send it everything that comes on stdin.

usage: simple_nc ADDRESS PORT

At the end of the input (Ctrl-D) sends FIN, then waits until the server closes too. What the server
sends is thrown away. Exit 0; a failed call: ``error: send: EPIPE (Broken pipe)``, exit 1.

What it shows: each direction of a connection is closed by itself. And: writing alone does not tell
whether the other end is still there. The first send() after the server is gone succeeds, because
it only fills a buffer; the RST that it provokes makes the next one fail. If the server closed with
bytes unread, the RST is here already, and the first send() fails with ECONNRESET.
"""

import errno
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

CHUNK_SIZE = 65536


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Turn the failure of a system call into one line on stderr and exit code 1."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        sys.exit(f"error: {call}: {name} ({error.strerror})")


def endpoint(address: str, port: str) -> tuple[str, int]:
    """Check what the user typed. Python would look up in the DNS what is no address."""
    try:
        socket.inet_pton(socket.AF_INET, address)
    except (OSError, UnicodeError):
        sys.exit(f'error: address: "{address}" is not an IPv4 address')
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        sys.exit(f'error: port: "{port}" is not a number from 1 to 65535')
    return address, int(port)


def send_input(sock: socket.socket) -> None:
    """Send what comes on stdin, as it comes, to its end."""
    while True:
        # read() returns what is there, and waits only while nothing is. Whole lines are of no
        # interest here: the input may be a picture.
        with calling("read"):
            chunk = os.read(0, CHUNK_SIZE)
        if not chunk:
            return
        # Sending to a connection that is gone raises the signal SIGPIPE, which kills a C program
        # that does nothing about it. Python ignores the signal from the start; the call then
        # fails with EPIPE, and the error can be reported.
        #
        # sendall() and not send(): send() may take a part of the chunk, if the kernel has no
        # room for all of it.
        with calling("send"):
            sock.sendall(chunk)


def main(arguments: list[str]) -> None:
    if len(arguments) != 2:
        print("usage: simple_nc ADDRESS PORT", file=sys.stderr)
        sys.exit(2)
    if sys.stdin is None:  # started with `<&-`: the socket would become descriptor 0
        sys.exit("error: read: EBADF (Bad file descriptor)")
    server = endpoint(arguments[0], arguments[1])
    with calling("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    with sock:
        with calling("connect"):
            sock.connect(server)
        send_input(sock)
        # FIN: no more bytes will come. The other direction stays open.
        with calling("shutdown"):
            sock.shutdown(socket.SHUT_WR)
        # Why not exit now? The kernel would deliver the rest, but could not tell us that it
        # failed to; and if the server had sent something, closing without having read it would
        # send RST, which makes the server lose what it has not read yet.
        with calling("recv"):
            while sock.recv(CHUNK_SIZE):
                pass


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
