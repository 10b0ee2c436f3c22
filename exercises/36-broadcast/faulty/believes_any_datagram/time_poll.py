#!/usr/bin/env python3
"""Ask all hosts of a network for the time, and list those that answer.

usage: time_poll ADDRESS PORT [-s SOURCE] [-t MS]

Protocol: TIME/1 of the exercise udp-time. Sends one request to ADDRESS, normally a broadcast
address, and collects answers for MS milliseconds (1000). SOURCE is the own address to send from.

stdout: ``time from=ADDRESS ns=N rtt_us=N`` for each host, when its first answer arrives, and at the
end ``hosts=N``. Exit 0 somebody answered, 1 error, 3 nobody did.

What it shows: one datagram reaches every host, and nobody knows how many will answer. So the end
is a matter of time alone, and time has to be kept without losing what is there already.
"""

import errno
import getopt
import math
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

NOBODY = 3
MOST_LATE = 1000
REQUEST = struct.Struct("!2sBBIQ")  # magic, version, type, seq, t_client
RESPONSE = struct.Struct("!2sBBIQQ")  # the same, and t_server


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


def options(arguments: list[str]) -> tuple[str, int, str, float]:
    """Check what the user typed; return address, port, source and seconds."""
    try:
        given, (address, port) = getopt.gnu_getopt(arguments, "s:t:")
    except (getopt.GetoptError, ValueError):
        print("usage: time_poll ADDRESS PORT [-s SOURCE] [-t MS]", file=sys.stderr)
        sys.exit(2)
    chosen = {"-s": "0.0.0.0", "-t": "1000"} | dict(given)
    for name, text in (("address", address), ("-s", chosen["-s"])):
        try:
            socket.inet_pton(socket.AF_INET, text)
        except (OSError, UnicodeError):
            sys.exit(f'error: {name}: "{text}" is not an IPv4 address')
    for name, text, largest in (("port", port, 65535), ("-t", chosen["-t"], 60000)):
        if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= largest):
            sys.exit(f'error: {name}: "{text}" is not a number from 1 to {largest}')
    return address, int(port), chosen["-s"], int(chosen["-t"]) / 1000


class Poll:
    """One question, and who has answered it."""

    def __init__(self, sock: socket.socket, port: int) -> None:
        self.sock = sock
        self.port = port
        # A random number, so that a late answer to an earlier run is not taken for ours.
        self.seq = int.from_bytes(os.urandom(4), "big")
        self.sent_ns = 0
        self.hosts: set[str] = set()

    def ask(self, address: str) -> None:
        self.sent_ns = time.monotonic_ns()
        # Not connect() and send(): answers come from each host's own address. A socket that is
        # connected takes datagrams from its peer's alone, and no host has the broadcast address.
        with calling("sendto"):
            self.sock.sendto(
                REQUEST.pack(b"TM", 1, 1, self.seq, self.sent_ns), (address, self.port)
            )

    def collect_until(self, deadline: float) -> None:
        """Count answers until the deadline, and then what has arrived by then."""
        readable = select.poll()
        readable.register(self.sock, select.POLLIN)
        late = 0
        while late < MOST_LATE:  # whoever goes on talking does not keep us
            left_s = deadline - time.monotonic()
            late += left_s <= 0
            # The socket is looked at first and the clock second: poll() with no time left says
            # whether something is there. A loop `while left_s > 0` would throw that away, just
            # because this program was late. And a signal that is to interrupt recvfrom() may
            # come before recvfrom() does; then nothing ends it any more.
            if not readable.poll(max(0, math.ceil(left_s * 1000))):
                return
            with calling("recvfrom"):
                try:
                    # poll() may be wrong: the checksum is looked at only now, and a datagram
                    # with a bad one vanishes. Without this flag we would wait for the next.
                    datagram, sender = self.sock.recvfrom(2048, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    continue
            self.count(datagram, sender)

    def count(self, datagram: bytes, sender: tuple[str, int]) -> None:
        address, port = sender
        # What connect() does for a client with one server is our own work here.
        if len(datagram) != RESPONSE.size or port != self.port:
            return
        magic, version, message_type, seq, t_client, t_server = RESPONSE.unpack(datagram)
        if address in self.hosts:
            return
        self.hosts.add(address)
        rtt_us = (time.monotonic_ns() - t_client) // 1000
        say(f"time from={address} ns={t_server} rtt_us={rtt_us}")


def main(arguments: list[str]) -> None:
    address, port, source, wait_s = options(arguments)
    with calling("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        # Without it the kernel refuses a broadcast address: EACCES. One wrong address in a
        # program should not be enough to wake up everybody.
        with calling("setsockopt"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        # 255.255.255.255 is in no network, so no route leads there. Linux sends it out of the
        # interface that has our source address.
        with calling("bind"):
            sock.bind((source, 0))
        poll = Poll(sock, port)
        poll.ask(address)
        poll.collect_until(time.monotonic() + wait_s)
    say(f"hosts={len(poll.hosts)}")
    if not poll.hosts:
        sys.exit(NOBODY)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
