#!/usr/bin/env python3
"""Tell the time by SNTP, to whoever asks.

usage: sntp_server ADDRESS PORT [-d MS]

Protocol: SNTP, see ntp_protocol.py. Claims that its clock is right within MS milliseconds (10).
Prints ``READY`` when requests can come.

What it shows: the server looks at its clock twice, when a request arrives and when the answer
leaves. So what happens in between is no error of the client's.
"""

import errno
import getopt
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ntp_protocol import CLIENT, SERVER, Packet, now, pack, unpack


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


def options(arguments: list[str]) -> tuple[str, int, int]:
    """Check what the user typed; return address, port and milliseconds."""
    try:
        given, (address, port) = getopt.gnu_getopt(arguments, "d:")
    except (getopt.GetoptError, ValueError):
        print("usage: sntp_server ADDRESS PORT [-d MS]", file=sys.stderr)
        sys.exit(2)
    chosen = {"-d": "10"} | dict(given)
    try:
        socket.inet_pton(socket.AF_INET, address)
    except (OSError, UnicodeError):
        sys.exit(f'error: address: "{address}" is not an IPv4 address')
    for name, text, largest in (("port", port, 65535), ("-d", chosen["-d"], 60000)):
        if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= largest):
            sys.exit(f'error: {name}: "{text}" is not a number from 0 to {largest}')
    return address, int(port), int(chosen["-d"])


def serve(sock: socket.socket, dispersion_ms: int) -> None:
    """Answer every request, for ever."""
    started = now()
    while True:
        with calling("recvfrom"):
            datagram, sender = sock.recvfrom(2048)
        received = now()
        request = unpack(datagram)
        # Only a question is answered: two servers that answered answers would never stop.
        if request is None or request.mode != CLIENT or request.version == 0:
            continue
        answer = Packet(
            version=request.version,
            mode=SERVER,
            stratum=1,
            poll=request.poll,
            precision=-20,  # 2**-20 s: about a microsecond
            root_dispersion=dispersion_ms * 2**16 // 1000,
            reference_id=b"LOCL",
            reference=started,
            originate=request.originate,
            receive=received,
        )
        try:
            sock.sendto(pack(answer._replace(transmit=now())), sender)
        except OSError as error:
            # One client that cannot be reached is no reason to stop serving the others.
            name = errno.errorcode.get(error.errno or 0, "unknown error")
            say(f"not answered {sender[0]}:{sender[1]}: {name} ({error.strerror})")


def main(arguments: list[str]) -> None:
    address, port, dispersion_ms = options(arguments)
    with calling("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        with calling("bind"):
            sock.bind((address, port))
        if port == 0:
            say(f"bound to {sock.getsockname()[0]}:{sock.getsockname()[1]}")
        say("READY")
        serve(sock, dispersion_ms)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
