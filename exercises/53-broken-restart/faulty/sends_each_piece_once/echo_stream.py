#!/usr/bin/env python3
"""Send every byte of a TCP client back, for one client after the other.

usage: echo_stream [ADDRESS [PORT]]        (0.0.0.0 8080)

Prints ``READY``, then for each client ``accepted A:P`` and ``closed A:P: REASON``.

What it shows: four calls that take a part of the work for the whole, or an error of one client for
the end of all.
"""

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

BUFFER_SIZE = 65536

PATIENCE_S = 30.0
"""A client that takes or sends nothing for so long is dropped, for the sake of the next one."""


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


def echo(connection: socket.socket) -> str:
    """Send everything back, to the end of the stream; return why it ended."""
    connection.settimeout(PATIENCE_S)
    while True:
        # All that came, whatever it is: a stream has bytes, not strings, and no end but its own.
        data = connection.recv(BUFFER_SIZE)
        if not data:
            return "end of the stream"
        # Not send(): with a timeout the socket does not block, so send() takes what fits into
        # the buffer, and returns how much that was.
        connection.send(data)


def serve(listener: socket.socket) -> None:
    """Take one client after the other, for ever."""
    while True:
        with calling("accept"):
            connection, (address, port) = listener.accept()
        say(f"accepted {address}:{port}")
        with connection:
            try:
                reason = echo(connection)
            except TimeoutError:
                reason = "no patience left"
            except OSError as error:
                # A client that resets ends itself, not the server.
                reason = f"{errno.errorcode.get(error.errno or 0)} ({error.strerror})"
        say(f"closed {address}:{port}: {reason}")


def main(arguments: list[str]) -> None:
    if len(arguments) > 2:
        print("usage: echo_stream [ADDRESS [PORT]]", file=sys.stderr)
        sys.exit(2)
    address, port = arguments + ["0.0.0.0", "8080"][len(arguments) :]
    wanted = endpoint(address, port)
    with calling("socket"):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with listener:
        # The name of one option, not a set of flags: 2 | 15 is 15, which is SO_REUSEPORT. That
        # one lets a restarted server bind as well; and beside a live one, whose clients it gets.
        with calling("setsockopt"):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with calling("bind"):
            listener.bind(wanted)
        with calling("listen"):
            listener.listen(16)
        if wanted[1] == 0:
            say(f"bound to {listener.getsockname()[0]}:{listener.getsockname()[1]}")
        say("READY")
        serve(listener)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
