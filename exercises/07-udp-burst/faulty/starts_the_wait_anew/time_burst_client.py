#!/usr/bin/env python3
"""Send a burst of requests to a time server, and report what became of each.

usage: time_burst_client ADDRESS PORT [-n N] [-t MS]

Protocol: TIME/1 of the exercise udp-time. Sends N requests (10) with seq 0 to N-1, one right after
the other, and listens for answers until MS milliseconds (3000) after the last of them.

stdout: ``time seq=N ns=N rtt_us=N`` for each answer, as they arrive, and at the end
``sent=N received=N lost=N dup=N reordered=N``:

    received     numbers answered at least once
    lost         numbers never answered
    dup          further answers to a number already answered
    reordered    answers whose number is lower than the highest seen before

Exit 0 (also when answers are missing), 1 error, 4 refused.

What it shows: datagrams are independent of each other. Each may be lost, doubled or overtaken, on
the way there or on the way back, and only the numbers in them tell.
"""

import errno
import getopt
import os
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

REFUSED = 4
REQUEST = struct.Struct("!2sBBIQ")  # magic, version, type, seq, t_client
RESPONSE = struct.Struct("!2sBBIQQ")  # the same, and t_server


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Turn the failure of a system call into one line on stderr and an exit code."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        print(f"error: {call}: {name} ({error.strerror})", file=sys.stderr)
        sys.exit(REFUSED if error.errno == errno.ECONNREFUSED else 1)


def say(line: str) -> None:
    """Write a line at once: print() keeps it back when the output is a pipe or a file."""
    # Started with `>&-`, our own socket would be descriptor 1: make the call fail instead.
    with calling("write"):
        os.write(-1 if sys.stdout is None else 1, f"{line}\n".encode())


def options(arguments: list[str]) -> tuple[str, int, int, float]:
    """Check what the user typed; return address, port, number of requests and seconds."""
    try:
        given, (address, port) = getopt.gnu_getopt(arguments, "n:t:")
    except (getopt.GetoptError, ValueError):
        print("usage: time_burst_client ADDRESS PORT [-n N] [-t MS]", file=sys.stderr)
        sys.exit(2)
    chosen = {"-n": "10", "-t": "3000"} | dict(given)
    try:
        socket.inet_pton(socket.AF_INET, address)
    except (OSError, UnicodeError):
        sys.exit(f'error: address: "{address}" is not an IPv4 address')
    numbers = (("port", port, 65535), ("-n", chosen["-n"], 10000), ("-t", chosen["-t"], 60000))
    for name, text, largest in numbers:
        if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= largest):
            sys.exit(f'error: {name}: "{text}" is not a number from 1 to {largest}')
    return address, int(port), int(chosen["-n"]), int(chosen["-t"]) / 1000


class Burst:
    """What was sent, and what came back."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sent_ns: list[int] = []  # when each request was sent; its seq is the index
        self.answered: set[int] = set()
        self.highest = -1
        self.dup = 0
        self.reordered = 0

    def send(self) -> None:
        self.sent_ns.append(time.monotonic_ns())
        with calling("send"):
            self.sock.send(REQUEST.pack(b"TM", 1, 1, len(self.sent_ns) - 1, self.sent_ns[-1]))

    def receive_until(self, wait_s: float) -> None:
        """Count answers until the deadline; listen again after each."""
        while True:
            # Zero means "do not wait": recv() then returns what has arrived, or fails.
            self.sock.settimeout(wait_s)
            with calling("recv"):
                try:
                    datagram = self.sock.recv(2048)
                except (TimeoutError, BlockingIOError):
                    return
            self.count(datagram)

    def count(self, datagram: bytes) -> None:
        if len(datagram) != RESPONSE.size:
            return
        magic, version, message_type, seq, t_client, t_server = RESPONSE.unpack(datagram)
        if (magic, version, message_type) != (b"TM", 1, 2) or seq >= len(self.sent_ns):
            return
        if t_client != self.sent_ns[seq]:  # answers a request of some earlier run
            return
        rtt_us = (time.monotonic_ns() - t_client) // 1000
        say(f"time seq={seq} ns={t_server} rtt_us={rtt_us}")
        self.dup += seq in self.answered
        self.reordered += seq < self.highest
        self.answered.add(seq)
        self.highest = max(self.highest, seq)

    def summary(self) -> str:
        sent, received = len(self.sent_ns), len(self.answered)
        return (
            f"sent={sent} received={received} lost={sent - received} "
            f"dup={self.dup} reordered={self.reordered}"
        )


def main(arguments: list[str]) -> None:
    address, port, requests, wait_s = options(arguments)
    with calling("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        with calling("connect"):
            sock.connect((address, port))
        burst = Burst(sock)
        for _ in range(requests):
            burst.send()
            # Take what is here before sending on. The kernel keeps some two hundred small
            # datagrams for a socket that nobody reads; the rest it drops without a word, and
            # we would blame the network for it.
            burst.receive_until(0)
        burst.receive_until(wait_s)
        say(burst.summary())


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
