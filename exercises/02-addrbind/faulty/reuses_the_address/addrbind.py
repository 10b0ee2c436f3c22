#!/usr/bin/env python3
"""Bind a socket to an address and a port, and hold it there to be looked at.

usage: addrbind ADDRESS PORT [udp|tcp]

Prints ``bound to ADDRESS:PORT`` as the kernel tells it, then ``READY``, and waits until its input
ends (Ctrl-D) or a signal comes. Exit 0; a failed call: ``error: bind: EADDRINUSE (...)``, exit 1.

Things to try, each with ``ss -aun`` in a second terminal:

    addrbind 127.0.0.1 8080    only programs on this node can reach the port
    addrbind 0.0.0.0 8080      every address of this node (INADDR_ANY)
    addrbind 127.0.0.1 0       the kernel picks a free port (an "ephemeral" one)
    addrbind 10.9.9.9 8080     EADDRNOTAVAIL: not an address of this node
    the same one twice         EADDRINUSE: a port has one owner

A TCP socket that is bound and does not listen has no state yet: ``ss -tan`` does not list it.
The port is taken all the same, as a second ``addrbind ... tcp`` finds out.
"""

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

KINDS = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}


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
    # 16 bits of the UDP or TCP header hold the port: 65536 does not fit.
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        sys.exit(f'error: port: "{port}" is not a number from 0 to 65535')
    return address, int(port)


def main(arguments: list[str]) -> None:
    kind = arguments[2] if len(arguments) == 3 else "udp"
    if len(arguments) not in (2, 3) or kind not in KINDS:
        print("usage: addrbind ADDRESS PORT [udp|tcp]", file=sys.stderr)
        sys.exit(2)
    wanted = endpoint(arguments[0], arguments[1])

    with calling("socket"):
        sock = socket.socket(socket.AF_INET, KINDS[kind])
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with calling("bind"):
            sock.bind(wanted)
        # Ask back: after port 0 this is the only way to learn which port it became.
        with calling("getsockname"):
            address, port = sock.getsockname()
        say(f"bound to {address}:{port}")
        say("READY")
        if sys.stdin is not None:  # it is None when the program was started with `<&-`
            with calling("read"):
                while sys.stdin.buffer.readline():
                    pass


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
