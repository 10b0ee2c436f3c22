#!/usr/bin/env python3
"""Tell the time over UDP, to whoever asks.

usage: time_server ADDRESS PORT

Protocol: TIME/1, see time_protocol.py. Prints ``READY`` when requests can come, then a line for
each datagram: ``request from A:P seq=N`` or ``ignored from A:P: REASON``.

What it shows: one socket serves every client. There is no connection and nothing to accept; each
datagram says who sent it, and the answer goes there. The server remembers nothing, so a request
that arrives twice is answered twice, and a client may repeat its request without harm.
"""

import errno
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from time_protocol import BUFFER_SIZE, MalformedError, Response, pack_response, unpack_request


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
    """Answer every request, for ever."""
    while True:
        with calling("recvfrom"):
            datagram, (address, port) = sock.recvfrom(BUFFER_SIZE)
        try:
            request = unpack_request(datagram)
        except MalformedError as reason:
            # No answer, not even an error message: the source address may be forged, and then
            # the message would hit somebody who never asked.
            say(f"ignored from {address}:{port}: {reason}")
            continue
        say(f"request from {address}:{port} seq={request.seq}")
        response = pack_response(Response(request.seq, request.t_client, time.time_ns()))
        try:
            # On a socket bound to 0.0.0.0 the kernel takes the address of the interface that
            # leads to the client as the source. A client that asked another address of this
            # node does not recognise the answer (a server that cares uses IP_PKTINFO).
            sock.sendto(response, (address, port))
        except OSError as error:
            # One client that cannot be reached (no route; port 0, which anybody can forge) is
            # no reason to stop serving the others.
            name = errno.errorcode.get(error.errno or 0, "unknown error")
            say(f"not answered {address}:{port}: {name} ({error.strerror})")


def main(arguments: list[str]) -> None:
    if len(arguments) != 2:
        print("usage: time_server ADDRESS PORT", file=sys.stderr)
        sys.exit(2)
    wanted = endpoint(arguments[0], arguments[1])
    with calling("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        # No SO_REUSEADDR: UDP has no TIME_WAIT to wait for, and with it a second server could
        # take the port; only one of the two would then get the requests.
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
