#!/usr/bin/env python3
"""Send each datagram back, cut to the 64 bytes of the buffer.

usage: echo_server [ADDRESS [PORT]]        (0.0.0.0 5678)

Prints ``READY``, then for each datagram ``recv=N trunc=0`` or ``recv=64 trunc=1``, where N is the
number of bytes that reached the buffer.

What it shows: one receive call takes one whole datagram off the queue. If the buffer is shorter
than the datagram, the rest of it is gone; it does not come with the next call, as bytes of a TCP
stream would. The kernel says so in a flag, MSG_TRUNC, for those who look.
"""

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

BUFFER_SIZE = 64


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


def serve(sock: socket.socket) -> None:
    """Echo every datagram, for ever."""
    while True:
        # recvmsg() and not recv(): only it returns the flags. Zero bytes do not mean "closed"
        # here, as they do on TCP: a datagram may be empty, and is then echoed like any other.
        with calling("recvmsg"):
            datagram, _, flags, (address, port) = sock.recvmsg(BUFFER_SIZE)
        truncated = bool(flags & socket.MSG_TRUNC)
        say(f"recv={len(datagram)} trunc={truncated:d}")
        try:
            sock.sendto(datagram, (address, port))
        except OSError as error:
            # A forged sender (port 0, an address without a route) must not stop the server.
            name = errno.errorcode.get(error.errno or 0, "unknown error")
            print(f"not answered {address}:{port}: {name}", file=sys.stderr, flush=True)


def main(arguments: list[str]) -> None:
    if len(arguments) > 2:
        print("usage: echo_server [ADDRESS [PORT]]", file=sys.stderr)
        sys.exit(2)
    address, port = arguments + ["0.0.0.0", "5678"][len(arguments) :]
    wanted = endpoint(address, port)
    with calling("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        with calling("bind"):
            sock.bind(wanted)
        if wanted[1] == 0:
            say(f"bound to {sock.getsockname()[0]}:{sock.getsockname()[1]}")
        say("READY")
        serve(sock)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
