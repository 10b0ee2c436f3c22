#!/usr/bin/env python3
"""Find out whether TCP ports are open, without making a connection.

usage: syn_scan [-n TRIES] [-W MS] ADDRESS PORT[,PORT...]

Sends a SYN to each port and looks at what comes back; a port that is silent for MS milliseconds
(-W, 1000) is asked again, TRIES times in all (-n, 2). A line for each port as soon as it is known:

    port=80 open                SYN, ACK came back: somebody listens
    port=81 closed              RST came back: nobody does
    port=82 filtered            nothing came back
    port=83 filtered code=13    ICMP came back: a router or a firewall refuses

Exit 0 the host has answered for some port, 1 error, 3 for none. Needs CAP_NET_RAW.

What it shows: a segment is 20 bytes that anybody may fill in. The kernel's own TCP knows nothing of
it: to a SYN, ACK that it never asked for it says RST, and so takes our half of the connection back.
"""

import errno
import getopt
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

USAGE = "usage: syn_scan [-n TRIES] [-W MS] ADDRESS PORT[,PORT...]"
NO_ANSWER = 3

# Source and destination port, sequence and acknowledgement number, length of the header (in its
# upper four bits, in words of four bytes), flags, window, checksum, urgent pointer.
TCP = struct.Struct("!HHIIBBHHH")
SYN, RST, ACK = 0x02, 0x04, 0x10
WORDS = TCP.size // 4
WINDOW = 1024

DESTINATION_UNREACHABLE = 3
BUFFER_SIZE = 65536


class Settings(NamedTuple):
    """What the user asked for."""

    address: str
    ports: list[int]
    tries: int
    wait_s: float


class Scan:
    """What is known of each port."""

    def __init__(self, source: str, source_port: int, wanted: Settings) -> None:
        self.addresses = socket.inet_aton(source), socket.inet_aton(wanted.address)
        self.source_port = source_port
        self.wanted = wanted
        # Random, so that nobody who has not seen our SYN can answer it. The same for each try: it
        # is the same question, and an answer to the first may come after the second.
        self.numbers = {port: int.from_bytes(os.urandom(4), "big") for port in wanted.ports}
        self.silent = list(self.numbers)
        self.has_answered = False

    def say(self, port: int, state: str) -> None:
        self.silent.remove(port)
        say(f"port={port} {state}")


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


def settings(arguments: list[str]) -> Settings:
    """Check what the user typed."""
    try:
        given, (address, ports) = getopt.gnu_getopt(arguments, "n:W:")
    except (getopt.GetoptError, ValueError):
        print(USAGE, file=sys.stderr)
        sys.exit(2)
    try:
        socket.inet_pton(socket.AF_INET, address)
    except (OSError, UnicodeError):
        sys.exit(f'error: address: "{address}" is not an IPv4 address')
    chosen = {"-n": "2", "-W": "1000"} | dict(given)
    return Settings(
        address,
        [number("port", port, 65535) for port in ports.split(",")],
        number("-n", chosen["-n"], 100),
        number("-W", chosen["-W"], 60000) / 1000,
    )


def number(name: str, text: str, largest: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= largest):
        sys.exit(f'error: {name}: "{text}" is not a number from 1 to {largest}')
    return int(text)


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071); 0 for an ICMP message with the right one in it."""
    words = struct.iter_unpack("!H", data + b"\0" * (len(data) % 2))
    total = sum(word for (word,) in words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pseudo_header(source: bytes, destination: bytes, length: int) -> bytes:
    """Return what the sum of a segment also covers: the addresses, which it does not contain."""
    return source + destination + struct.pack("!BBH", 0, socket.IPPROTO_TCP, length)


def syn(scan: Scan, port: int) -> bytes:
    """Return the segment. The kernel puts the IP header before it, but looks at nothing in it."""

    def segment(total: int) -> bytes:
        first = (scan.source_port, port, scan.numbers[port], 0)
        return TCP.pack(*first, WORDS << 4, SYN, WINDOW, total, 0)

    return segment(checksum(pseudo_header(*scan.addresses, TCP.size) + segment(0)))


def hear_tcp(scan: Scan, packet: bytes) -> None:
    """Take a segment that came, if it answers a SYN of ours.

    A raw socket gets a copy of every segment that comes to this machine: of all connections of all
    programs. Its checksum says nothing: a neighbour's kernel leaves it to the card, and where the
    link is a veth pair there is none. The kernel itself knows; a raw socket is not told.
    """
    header = packet[0] % 16 * 4
    source, destination, segment = packet[12:16], packet[16:20], packet[header:]
    if (destination, source) != scan.addresses or len(segment) < TCP.size:
        return
    port, to, _, acknowledged, _, flags, *_ = TCP.unpack(segment[: TCP.size])
    if to != scan.source_port or port not in scan.silent or not flags & ACK:
        return
    # SYN takes a number, so what acknowledges it has the next.
    if acknowledged != (scan.numbers[port] + 1) % 2**32:
        return
    if flags & RST:
        scan.say(port, "closed")
    elif flags & SYN:
        scan.say(port, "open")
    else:
        return
    scan.has_answered = True


def hear_icmp(scan: Scan, packet: bytes) -> None:
    """Take an ICMP message, if it says that a SYN of ours could not be delivered."""
    message = packet[packet[0] % 16 * 4 :]
    quoted = message[8:]  # our IP header, and at least 8 bytes of our segment
    if len(quoted) < 20 or message[0] != DESTINATION_UNREACHABLE or checksum(message):
        return
    segment = quoted[quoted[0] % 16 * 4 :]
    if len(segment) < 8 or quoted[9] != socket.IPPROTO_TCP:
        return
    if (quoted[12:16], quoted[16:20]) != scan.addresses:
        return
    source_port, port, sent = struct.unpack("!HHI", segment[:8])
    if source_port == scan.source_port and port in scan.silent and sent == scan.numbers[port]:
        scan.say(port, f"filtered code={message[1]}")


def scan_ports(scan: Scan, tcp: socket.socket, icmp: socket.socket) -> None:
    """Ask all ports, then hear the answers; ask those again that were silent."""
    hear = {tcp.fileno(): (tcp, hear_tcp), icmp.fileno(): (icmp, hear_icmp)}
    poll = select.poll()
    for fd in hear:
        poll.register(fd, select.POLLIN)
    for _ in range(1):
        for port in scan.silent:
            with calling("sendto"):
                tcp.sendto(syn(scan, port), (scan.wanted.address, 0))
        deadline = time.monotonic() + scan.wanted.wait_s
        while scan.silent and (left_s := deadline - time.monotonic()) > 0:
            # Rounded up: with 0 milliseconds poll() would return at once, again and again.
            for fd, _ in poll.poll(int(left_s * 1000) + 1):
                sock, take = hear[fd]
                with calling("recv"):
                    packet = sock.recv(BUFFER_SIZE)
                take(scan, packet)
    for port in list(scan.silent):
        scan.say(port, "filtered")


def address_towards(address: str) -> str:
    """Return our own address from where packets go there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        # connect() sends nothing on UDP; it chooses a route, and with it the source address.
        with calling("connect"):
            sock.connect((address, 9))
        return str(sock.getsockname()[0])


def main(arguments: list[str]) -> None:
    wanted = settings(arguments)
    with calling("socket"):
        tcp = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
        icmp = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with tcp, icmp, holder:
        source = address_towards(wanted.address)
        # A port that no connection has, nor will get while we use it. A socket that is bound and
        # nothing more takes no segments: the kernel says RST to them.
        with calling("bind"):
            holder.bind((source, 0))
        scan = Scan(source, holder.getsockname()[1], wanted)
        scan_ports(scan, tcp, icmp)
    if not scan.has_answered:
        sys.exit(NO_ANSWER)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
