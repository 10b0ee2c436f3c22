#!/usr/bin/env python3
"""Tell the time to whoever connects.

usage: daytime_server ADDRESS PORT

Protocol: daytime, see daytime_protocol.py. Prints ``READY``, then a line for each client:
``A:P told`` or ``A:P: REASON``.

What it shows: an iterative server is enough where nothing waits for a client. And who closes first
has TIME-WAIT: here that is the server, each time.
"""

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from daytime_protocol import tell


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


def serve(listener: socket.socket) -> None:
    """Tell one client after the other, for ever."""
    while True:
        with calling("accept"):
            connection, (address, port) = listener.accept()
        with connection:
            with calling("send"):
                tell(connection)
        say(f"{address}:{port} told")


def main(arguments: list[str]) -> None:
    if len(arguments) != 2:
        print("usage: daytime_server ADDRESS PORT", file=sys.stderr)
        sys.exit(2)
    wanted = endpoint(arguments[0], arguments[1])
    with calling("socket"):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with listener:
        # Each client leaves a socket in TIME-WAIT here for a minute. Without this, bind() fails
        # with EADDRINUSE as long as there is one.
        with calling("setsockopt"):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with calling("bind"):
            listener.bind(wanted)
        with calling("listen"):
            listener.listen(64)
        if wanted[1] == 0:
            say(f"bound to {listener.getsockname()[0]}:{listener.getsockname()[1]}")
        say("READY")
        serve(listener)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
