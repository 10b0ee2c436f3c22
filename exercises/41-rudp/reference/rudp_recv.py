#!/usr/bin/env python3
"""Receive one file over UDP, write it to the output, and end.

usage: rudp_recv ADDRESS PORT [-w PACKETS] [-i MS] [-l MS]

Protocol: RUDP/1, see rudp_protocol.py. Takes up to PACKETS packets (32) from the first missing one
on. Gives up when nothing has come for MS milliseconds (-i, 10000), but waits for the first SYN for
ever. When all is there it goes on answering until nothing has come for MS (-l, 2000).
Exit 0 when all has come, 1 error, 3 given up.

What it shows: the receiver needs no clock to be reliable. It says what it has each time that
something comes, and so repeats every answer that was lost.
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
    NUMBERS,
    SYN,
    Packet,
    distance,
    pack,
    unpack,
)

GIVEN_UP = 3

Address = tuple[str, int]


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Turn the failure of a system call into one line on stderr and exit code 1."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        sys.exit(f"error: {call}: {name} ({error.strerror})")


def number(name: str, text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and least <= int(text) <= most):
        sys.exit(f'error: {name}: "{text}" is not a number from {least} to {most}')
    return int(text)


def options(arguments: list[str]) -> tuple[Address, int, float, float]:
    """Check what the user typed; return the endpoint, the window, and both times in seconds."""
    try:
        given, (address, port) = getopt.gnu_getopt(arguments, "w:i:l:")
    except (getopt.GetoptError, ValueError):
        print("usage: rudp_recv ADDRESS PORT [-w PACKETS] [-i MS] [-l MS]", file=sys.stderr)
        sys.exit(2)
    chosen = {"-w": "32", "-i": "10000", "-l": "2000"} | dict(given)
    try:
        # Python would look up in the DNS what is no address.
        socket.inet_pton(socket.AF_INET, address)
    except (OSError, UnicodeError):
        sys.exit(f'error: address: "{address}" is not an IPv4 address')
    endpoint = (address, number("port", port, 0, 65535))
    window = number("-w", chosen["-w"], 1, 1000)
    idle_s = number("-i", chosen["-i"], 1, 600000) / 1000
    return endpoint, window, idle_s, number("-l", chosen["-l"], 1, 600000) / 1000


def write(data: bytes) -> None:
    """Write all of it, at once."""
    with calling("write"):
        while data:
            data = data[os.write(1, data) :]


class Receiver:
    """One connection: what has come, and what is still missing."""

    def __init__(self, sock: socket.socket, sender: Address, syn: Packet, window: int) -> None:
        self.sock = sock
        self.sender = sender
        self.syn = syn
        self.window = window
        self.expected = (syn.seq + 1) % NUMBERS
        self.early: dict[int, Packet] = {}  # those behind a gap, by seq
        self.is_complete = False

    def acknowledge(self) -> None:
        """Say what is expected next, and how many packets from there on are taken."""
        # What is in order is written at once, so the window is always as large. A receiver whose
        # output may block has to say less, and 0 in the end.
        packet = Packet(ACK, self.syn.conn, ack=self.expected, wnd=self.window)
        with suppress(OSError):  # no worse than an ACK that is lost
            self.sock.sendto(pack(packet), self.sender)

    def take(self, packet: Packet) -> bool:
        """Take a packet of this connection; return whether it was one."""
        if packet.conn != self.syn.conn or packet.type == ACK:
            return False
        if packet.type == SYN and packet.seq != self.syn.seq:
            return False
        if packet.type != SYN and not self.is_complete:
            # Only what the window allows: what is old is far behind its end.
            if distance(self.expected, packet.seq) < self.window:
                self.early[packet.seq] = packet
            self.write_what_is_in_order()
        # Every packet is answered, also one that is here already: the sender would not have sent it
        # if the first answer had come.
        self.acknowledge()
        return True

    def write_what_is_in_order(self) -> None:
        while (packet := self.early.pop(self.expected, None)) is not None:
            self.expected = (self.expected + 1) % NUMBERS
            if packet.type == DATA:
                write(packet.payload)
            else:  # FIN
                self.is_complete = True
                return


def receive(sock: socket.socket) -> tuple[Packet | None, Address]:
    """Return the next packet and who sent it. Raises ``TimeoutError``."""
    try:
        datagram, sender = sock.recvfrom(BUFFER_SIZE)
    except TimeoutError:
        raise
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        sys.exit(f"error: recvfrom: {name} ({error.strerror})")
    return unpack(datagram), sender


def wait_for_syn(sock: socket.socket, window: int) -> Receiver:
    while True:
        packet, sender = receive(sock)
        if packet is not None and packet.type == SYN:
            return Receiver(sock, sender, packet, window)


def serve(sock: socket.socket, window: int, idle_s: float, linger_s: float) -> None:
    """Receive a file."""
    receiver = wait_for_syn(sock, window)
    receiver.acknowledge()
    deadline_s = time.monotonic() + idle_s
    # Not a timeout for each recv: datagrams of strangers would keep us here for ever.
    while (left_s := deadline_s - time.monotonic()) > 0:
        sock.settimeout(left_s)
        try:
            packet, sender = receive(sock)
        except TimeoutError:
            break
        if packet is not None and sender == receiver.sender and receiver.take(packet):
            # Complete: the last ACK may be lost, and the sender would have to give up.
            wait_s = linger_s if receiver.is_complete else idle_s
            deadline_s = time.monotonic() + wait_s
    if not receiver.is_complete:
        print("error: the sender is gone", file=sys.stderr)
        sys.exit(GIVEN_UP)


def main(arguments: list[str]) -> None:
    wanted, window, idle_s, linger_s = options(arguments)
    if sys.stdout is None:  # started with `>&-`: our own socket would be descriptor 1
        sys.exit("error: write: EBADF (Bad file descriptor)")
    with calling("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        with calling("bind"):
            sock.bind(wanted)
        serve(sock, window, idle_s, linger_s)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
