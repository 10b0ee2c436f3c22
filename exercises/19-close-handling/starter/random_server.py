#!/usr/bin/env python3
"""Send streams of random bytes to clients. The task is in README.md.

usage: random_server [ADDRESS [PORT]] [-t MS]        (0.0.0.0 8089)

It serves any number of clients at the same time, as long as they behave.
"""

import errno
import getopt
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from random_protocol import MAX_LINE, parse_request, pieces


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


def options(arguments: list[str]) -> tuple[tuple[str, int], int]:
    """Check what the user typed; return where to listen and the milliseconds of patience."""
    try:
        given, places = getopt.gnu_getopt(arguments, "t:")
        address, port = places + ["0.0.0.0", "8089"][len(places) :]
    except (getopt.GetoptError, ValueError):
        print("usage: random_server [ADDRESS [PORT]] [-t MS]", file=sys.stderr)
        sys.exit(2)
    wait_ms = dict(given).get("-t", "10000")
    if not (wait_ms.isascii() and wait_ms.isdigit() and 1 <= len(wait_ms) <= 6 and int(wait_ms)):
        sys.exit(f'error: -t: "{wait_ms}" is not a number from 1 to 999999')
    return endpoint(address, port), int(wait_ms)


def read_line(connection: socket.socket, unread: bytearray) -> bytes:
    """Return the next line with its LF, or what there is if none comes; the rest stays in ``unread``."""
    while b"\n" not in unread and len(unread) <= MAX_LINE:
        received = connection.recv(4096)
        if not received:
            break
        unread += received
    line, end, rest = bytes(unread).partition(b"\n")
    unread[:] = rest
    return line + end


def converse(connection: socket.socket) -> str:
    """Serve one client to the end; return why it ended."""
    unread = bytearray()
    while line := read_line(connection, unread):
        wanted = parse_request(line)
        if wanted is None:
            return "no request"
        for piece in pieces(*wanted):
            connection.sendall(piece)
    return "end"


def serve(connection: socket.socket, name: str, wait_ms: int) -> None:
    """Serve one client in a thread of its own."""
    # TODO: what if the client does not stay to the end? And what is wait_ms for?
    with connection:
        reason = converse(connection)
    say(f"closed {name}: {reason}")


def main(arguments: list[str]) -> None:
    wanted, wait_ms = options(arguments)
    with calling("socket"):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with listener:
        # A restarted server can bind beside connections in TIME_WAIT; never beside a live one.
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
                connection, (client, client_port) = listener.accept()
            name = f"{client}:{client_port}"
            say(f"accepted {name}")
            # daemon: the program may end while some clients are still being served.
            threading.Thread(target=serve, args=(connection, name, wait_ms), daemon=True).start()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
