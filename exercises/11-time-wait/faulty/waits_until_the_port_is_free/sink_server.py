#!/usr/bin/env python3
"""Take in what clients send over TCP, one client after the other, and throw it away.

usage: sink_server [ADDRESS [PORT]]        (0.0.0.0 8080)

Prints ``READY``, then for each client that has closed ``RECEIVED COUNT``, or ``ERROR recv
ECONNRESET`` for one that has reset the connection. Nothing is sent. When a call before READY fails:
``error: bind: EADDRINUSE (...)``, exit 1.

What it shows: the end that closes first keeps the connection in TIME-WAIT for a minute. So the
server lets the client close first, and sets SO_REUSEADDR for the times when it cannot choose:
whoever ends a server that has clients makes it close first.
"""

import errno
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

BACKLOG = 16
BUFFER_SIZE = 65536


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


def open_listener(wanted: tuple[str, int]) -> socket.socket:
    """Return a listening socket, also where connections of an earlier server linger."""
    with calling("socket"):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    while True:
        try:
            listener.bind(wanted)
            break
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            time.sleep(1)
    with calling("listen"):
        listener.listen(BACKLOG)
    return listener


def take_in(connection: socket.socket) -> str:
    """Receive until the client has closed; return what to say about it."""
    count = 0
    try:
        # Nothing is not "nothing yet" but the end: the client has closed, and it has done so
        # first, so TIME-WAIT is on its side.
        while received := connection.recv(BUFFER_SIZE):
            count += len(received)
    except OSError as error:
        # One client that is gone is no reason to stop serving the others.
        return f"ERROR recv {errno.errorcode.get(error.errno or 0)}"
    return f"RECEIVED {count}"


def main(arguments: list[str]) -> None:
    if len(arguments) > 2:
        print("usage: sink_server [ADDRESS [PORT]]", file=sys.stderr)
        sys.exit(2)
    address, port = arguments + ["0.0.0.0", "8080"][len(arguments) :]
    wanted = endpoint(address, port)
    with open_listener(wanted) as listener:
        if wanted[1] == 0:
            say(f"bound to {listener.getsockname()[0]}:{listener.getsockname()[1]}")
        say("READY")
        while True:
            with calling("accept"):
                connection, _ = listener.accept()
            with connection:
                result = take_in(connection)
            say(result)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
