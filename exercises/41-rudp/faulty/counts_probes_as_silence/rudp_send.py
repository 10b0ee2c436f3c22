#!/usr/bin/env python3
"""Send the input over UDP, so that all of it arrives, once and in order.

usage: rudp_send ADDRESS PORT [-t MS] [-n TRIES]

Protocol: RUDP/1, see rudp_protocol.py. Waits MS milliseconds (200) for an ACK, then sends again and
waits twice as long, at most eight times as long. After TRIES (10) waits without any ACK it gives up.
Exit 0 when all has been acknowledged, 1 error, 3 given up.

What it shows: reliability is made of four things: numbers, so that the other end can sort and can
tell a copy; acknowledgements; a copy of what is not acknowledged, kept until it is; and a clock.
"""

import errno
import getopt
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rudp_protocol import (
    ACK,
    BUFFER_SIZE,
    DATA,
    FIN,
    MAX_PAYLOAD,
    NUMBERS,
    SYN,
    Packet,
    distance,
    pack,
    unpack,
)

GIVEN_UP = 3

MOST_UNDER_WAY = 64
MOST_WAITS = 8  # the longest wait, as a multiple of the first
DUPLICATES = 3  # so many ACKs that say the same mean that a packet is missing


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Turn the failure of a system call into one line on stderr and exit code 1."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        sys.exit(f"error: {call}: {name} ({error.strerror})")


def note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def number(name: str, text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and least <= int(text) <= most):
        sys.exit(f'error: {name}: "{text}" is not a number from {least} to {most}')
    return int(text)


def options(arguments: list[str]) -> tuple[tuple[str, int], float, int]:
    """Check what the user typed; return the receiver, the first wait in seconds, the tries."""
    try:
        given, (address, port) = getopt.gnu_getopt(arguments, "t:n:")
    except (getopt.GetoptError, ValueError):
        note("usage: rudp_send ADDRESS PORT [-t MS] [-n TRIES]")
        sys.exit(2)
    chosen = {"-t": "200", "-n": "10"} | dict(given)
    try:
        # Python would look up in the DNS what is no address.
        socket.inet_pton(socket.AF_INET, address)
    except (OSError, UnicodeError):
        sys.exit(f'error: address: "{address}" is not an IPv4 address')
    receiver = (address, number("port", port, 1, 65535))
    wait_s = number("-t", chosen["-t"], 1, 60000) / 1000
    return receiver, wait_s, number("-n", chosen["-n"], 1, 1000)


def packets_of(content: bytes) -> list[Packet]:
    """Return all packets, in order: SYN, the content, FIN. Their numbers follow each other."""
    # Random, so that a packet of an earlier run that is still on its way is not taken for ours.
    conn = int.from_bytes(os.urandom(4), "big")
    first = int.from_bytes(os.urandom(4), "big")
    parts = [content[at : at + MAX_PAYLOAD] for at in range(0, len(content), MAX_PAYLOAD)]
    kinds = [(SYN, b""), *((DATA, part) for part in parts), (FIN, b"")]
    return [
        Packet(kind, conn, (first + at) % NUMBERS, payload=payload)
        for at, (kind, payload) in enumerate(kinds)
    ]


class Sender:
    """The packets, by their place in the list, and how far they have come."""

    def __init__(self, sock: socket.socket, packets: list[Packet], wait_s: float) -> None:
        self.sock = sock
        self.packets = packets
        self.first_wait_s = wait_s
        self.acked = 0  # all before this one have arrived
        self.sent = 0  # all before this one have been sent at least once
        self.limit = 1  # the receiver takes those before this one; SYN is always allowed
        self.duplicates = 0
        self.recover = 0  # up to here it is known that something is missing
        self.silences = 0  # waits without any ACK
        self.restart_timer()

    def restart_timer(self) -> None:
        """Something has moved: wait for the next from now on."""
        self.wait_s = self.first_wait_s
        self.deadline_s = time.monotonic() + self.wait_s

    def send(self, place: int) -> None:
        # A refusal (ICMP) is no worse than silence: the receiver may be about to start.
        with calling("send"), suppress(ConnectionRefusedError):
            self.sock.send(pack(self.packets[place]))

    def send_new(self) -> None:
        """Send what the window allows."""
        limit = min(self.limit, self.acked + MOST_UNDER_WAY, len(self.packets))
        while self.sent < limit:
            self.send(self.sent)
            self.sent += 1

    def receive(self) -> Packet | None:
        """Return the next datagram if it is a packet; None when the time is over as well."""
        left_s = self.deadline_s - time.monotonic()
        # A timeout of 0 would mean "do not wait" and is an error of its own.
        self.sock.settimeout(max(left_s, 0.0001))
        with calling("recv"), suppress(TimeoutError, ConnectionRefusedError):
            return unpack(self.sock.recv(BUFFER_SIZE))
        return None

    def take(self, packet: Packet) -> None:
        """Look at what the receiver says."""
        if packet.type != ACK or packet.conn != self.packets[0].conn:
            return
        acked = distance(self.packets[0].seq, packet.ack)
        # An ACK from the past seems far in the future: neither may be believed.
        if not self.acked <= acked <= self.sent:
            return
        limit = acked + packet.wnd
        if acked > self.acked:
            self.silences = 0
            self.acked = acked
            self.duplicates = 0
            self.restart_timer()
            if acked < self.recover:
                self.send(acked)  # one gap is closed, and this is the next one
        elif limit > self.limit:
            self.restart_timer()
        elif limit == self.limit and self.sent > self.acked:
            # Something has arrived, and not what is missing.
            self.duplicates += 1
            if self.duplicates == DUPLICATES and self.acked >= self.recover:
                self.recover = self.sent
                self.send(self.acked)
        self.limit = limit

    def time_is_over(self, tries: int) -> None:
        """Send the first packet that is not acknowledged, and only this one.

        With nothing under way it is the first that the window does not allow: a probe. The ACK that
        opened the window may have been lost, and the receiver sends no other by itself.
        """
        self.silences += 1
        if self.silences == tries:
            note("error: no answer")
            sys.exit(GIVEN_UP)
        self.send(self.acked)
        self.sent = max(self.sent, self.acked + 1)
        # Perhaps it was not lost but late: then each copy makes the queue longer. So, wait longer.
        self.wait_s = min(2 * self.wait_s, MOST_WAITS * self.first_wait_s)
        self.deadline_s = time.monotonic() + self.wait_s

    def run(self, tries: int) -> None:
        while self.acked < len(self.packets):
            self.send_new()
            packet = self.receive()
            if packet is not None:
                self.take(packet)
            elif time.monotonic() >= self.deadline_s:
                self.time_is_over(tries)


def main(arguments: list[str]) -> None:
    receiver, wait_s, tries = options(arguments)
    if sys.stdin is None:  # started with `<&-`
        sys.exit("error: read: EBADF (Bad file descriptor)")
    with calling("read"):
        content = sys.stdin.buffer.read()
    with calling("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        # Datagrams from anybody else never reach us.
        with calling("connect"):
            sock.connect(receiver)
        Sender(sock, packets_of(content), wait_s).run(tries)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
