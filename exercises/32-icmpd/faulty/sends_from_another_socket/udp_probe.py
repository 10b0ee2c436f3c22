#!/usr/bin/env python3
"""Send datagrams to many from one UDP socket, and learn from icmpd which of them failed.

usage: udp_probe NAME

Gives its UDP socket to the icmpd that listens on NAME, and prints READY. Reads lines
``ADDRESS PORT``, and sends a datagram there for each. Prints what comes:

    error dest=10.0.1.1:9 errno=ECONNREFUSED type=3 code=3
    datagram from=10.0.1.1:7 bytes=5

Exit 0 at the end of the input, 1 error.

What it shows: the socket is not connected, so its own calls never fail; the daemon says what
became of which datagram.
"""

import errno
import os
import select
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from icmpd_protocol import unpack_report, unpack_verdict

USAGE = "usage: udp_probe NAME"
LONGEST_NAME = 107
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


def name_of(number: int) -> str:
    return errno.errorcode.get(number, str(number))


def register(daemon: socket.socket, udp: socket.socket) -> None:
    """Give the daemon a copy of our socket, and wait for what it says."""
    with calling("sendmsg"):
        # One byte goes with it: ancillary data alone would be an empty message, which is the end.
        socket.send_fds(daemon, [b"\0"], [udp.fileno()])
    verdict = hear(daemon)
    try:
        number = unpack_verdict(verdict)
    except struct.error:
        sys.exit(f"error: recv: {len(verdict)} bytes are no verdict")
    if number:
        sys.exit(f"error: icmpd: {name_of(number)} ({os.strerror(number)})")


def hear(daemon: socket.socket) -> bytes:
    with calling("recv"):
        message = daemon.recv(BUFFER_SIZE)
    if not message:
        sys.exit("error: recv: icmpd has gone")
    return message


def take_report(daemon: socket.socket) -> None:
    message = hear(daemon)
    try:
        report = unpack_report(message)
    except struct.error:
        sys.exit(f"error: recv: {len(message)} bytes are no report")
    say(
        f"error dest={report.address}:{report.port} errno={name_of(report.errno)} "
        f"type={report.kind} code={report.code}"
    )


def take_datagram(udp: socket.socket) -> None:
    with calling("recvfrom"):
        datagram, (address, port) = udp.recvfrom(BUFFER_SIZE)
    say(f"datagram from={address}:{port} bytes={len(datagram)}")


def send(udp: socket.socket, line: str) -> None:
    """Send a datagram where the line says."""
    try:
        address, port = line.split()
        socket.inet_pton(socket.AF_INET, address)
        to = address, int(port)
    except (OSError, ValueError):
        print(f"not ADDRESS PORT: {line!r}", file=sys.stderr, flush=True)
        return
    with calling("sendto"):
        try:
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"probe", to)
        except OverflowError:
            print(f"no port: {line!r}", file=sys.stderr, flush=True)


def main(arguments: list[str]) -> None:
    if len(arguments) != 1 or not 1 <= len(os.fsencode(arguments[0])) <= LONGEST_NAME:
        print(USAGE, file=sys.stderr)
        sys.exit(2)
    with calling("socket"):
        daemon = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with daemon, udp:
        with calling("bind"):
            # Now, and not by the first sendto(): errors are told apart by the port.
            udp.bind(("0.0.0.0", 0))
        with calling("connect"):
            daemon.connect(b"\0" + os.fsencode(arguments[0]))
        register(daemon, udp)
        say("READY")
        unread = b""
        while True:
            ready, _, _ = select.select([0, daemon, udp], [], [])
            if daemon in ready:
                take_report(daemon)
            if udp in ready:
                take_datagram(udp)
            if 0 in ready:
                with calling("read"):
                    typed = os.read(0, BUFFER_SIZE)
                if not typed:
                    return
                *lines, unread = (unread + typed).split(b"\n")
                for line in lines:
                    send(udp, line.decode(errors="backslashreplace"))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
