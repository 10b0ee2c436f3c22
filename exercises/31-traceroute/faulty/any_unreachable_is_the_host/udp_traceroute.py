#!/usr/bin/env python3
"""Find the routers on the way to a host: IPv4 and IPv6.

usage: udp_traceroute [-m HOPS] [-W MS] ADDRESS

Sends three UDP datagrams with a TTL (hop limit) of 1, three with 2, and so on, at most HOPS (30),
to ports that nobody is expected to use: 33435, 33436, … Waits up to MS milliseconds (3000) for
the ICMP error that each of them brings about.

stdout, a line for each TTL with what came of its three probes:

    1 10.0.0.2=412 10.0.0.2=98 10.0.0.2=97
    2 10.0.1.2=530 * 10.0.1.2=120
    3 10.0.2.2=441!H * *

An address and microseconds, with a mark where it says that there is no way on; ``*`` is silence.
Exit 0 the host was reached, 1 error, 3 it was not. Needs CAP_NET_RAW to hear the errors.

What it shows: a router that drops a packet for its TTL says so, and quotes it. The quotation has
the UDP ports, and the port tells which of the probes it was.
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
from typing import NamedTuple

USAGE = "usage: udp_traceroute [-m HOPS] [-W MS] ADDRESS"
NOT_REACHED = 3

PROBES = 3
BASE_PORT = 32768 + 666
"""Probe number 1 goes to the next one."""

ICMP_HEADER_BYTES = 8
BUFFER_SIZE = 65536

# netinet/icmp6.h; Python has no name for it.
ICMP6_FILTER = 1


class Family(NamedTuple):
    """What differs between the two."""

    number: int
    protocol: int
    ttl: tuple[int, int]
    """The socket option for the TTL: its level and name."""
    exceeded: int
    """The type of "time exceeded"; code 0 is "in transit"."""
    unreachable: int
    """The type of "destination unreachable"."""
    port_code: int
    """The code that says: this is the host, and nobody has the port."""
    marks: dict[int, str]
    """Of other codes."""


IPV4 = Family(
    socket.AF_INET,
    socket.IPPROTO_ICMP,
    (socket.IPPROTO_IP, socket.IP_TTL),
    11,
    3,
    3,
    {0: "!N", 1: "!H", 2: "!P", 13: "!X"},
)
IPV6 = Family(
    socket.AF_INET6,
    socket.IPPROTO_ICMPV6,
    (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS),
    3,
    1,
    4,
    {0: "!N", 1: "!X", 3: "!H"},
)


class Settings(NamedTuple):
    """What the user asked for."""

    address: str
    family: Family
    hops: int
    wait_s: float


class Answer(NamedTuple):
    """An error that a probe brought about."""

    sender: str
    kind: int
    code: int


class Quoted(NamedTuple):
    """What an error message says about the packet that it is about."""

    destination: bytes
    source_port: int
    destination_port: int


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
        given, (address,) = getopt.gnu_getopt(arguments, "m:W:")
    except (getopt.GetoptError, ValueError):
        print(USAGE, file=sys.stderr)
        sys.exit(2)
    chosen = {"-m": "30", "-W": "3000"} | dict(given)
    for name, largest in (("-m", 255), ("-W", 60000)):
        text = chosen[name]
        if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= largest):
            sys.exit(f'error: {name}: "{text}" is not a number from 1 to {largest}')
    return Settings(address, family_of(address), int(chosen["-m"]), int(chosen["-W"]) / 1000)


def family_of(address: str) -> Family:
    """Tell an IPv4 address from an IPv6 one. Names are not looked up."""
    for family in (IPV4, IPV6):
        try:
            socket.inet_pton(family.number, address)
        except (OSError, UnicodeError):
            continue
        return family
    sys.exit(f'error: address: "{address}" is neither an IPv4 nor an IPv6 address')


def open_sockets(family: Family) -> tuple[socket.socket, socket.socket]:
    """Return a socket to send probes and one to hear the errors."""
    with calling("socket"):
        errors = socket.socket(family.number, socket.SOCK_RAW, family.protocol)
        # Not connected: then an error would end the next send(), and would not say who sent it.
        probes = socket.socket(family.number, socket.SOCK_DGRAM)
    if family is IPV6:
        # The kernel keeps out each type whose bit is set; both are in the first 32-bit word.
        wanted = 1 << family.exceeded | 1 << family.unreachable
        words = [0xFFFFFFFF & ~wanted, *[0xFFFFFFFF] * 7]
        with calling("setsockopt"):
            errors.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, struct.pack("=8I", *words))
    with calling("bind"):
        # Port 0: the kernel chooses one that nobody else has, so it tells our probes from those of
        # others. (The pid as a port is an old custom, from before every container had a pid 1.)
        probes.bind(("", 0))
    return probes, errors


def quoted_udp(family: Family, quoted: bytes) -> Quoted | None:
    """Read the beginning of the packet that an error quotes: IP header and 8 bytes."""
    if family is IPV6:
        header, protocol, destination = 40, quoted[6:7], quoted[24:40]
    else:
        header = 4 * (quoted[0] & 0xF) if quoted else 0
        protocol, destination = quoted[9:10], quoted[16:20]
    ports = quoted[header : header + 4]
    if protocol != bytes([socket.IPPROTO_UDP]) or len(ports) < 4:
        return None
    return Quoted(destination, *struct.unpack("!HH", ports))


class Tracer:
    """The probes that have been sent, and what becomes of each."""

    def __init__(self, probes: socket.socket, errors: socket.socket, asked: Settings) -> None:
        self.probes = probes
        self.errors = errors
        self.asked = asked
        self.family = asked.family
        self.destination = socket.inet_pton(asked.family.number, asked.address)
        self.source_port = probes.getsockname()[1]
        self.seq = 0

    def run(self) -> bool:
        """Go on hop by hop to the end; return whether that is the host."""
        for ttl in range(1, self.asked.hops + 1):
            with calling("setsockopt"):
                self.probes.setsockopt(*self.family.ttl, ttl)
            words, answers = [], []
            for _ in range(PROBES):
                word, answer = self.probe()
                words.append(word)
                answers.append(answer)
            say(" ".join([str(ttl), *words]))
            # All three are sent in any case: they may have gone different ways.
            ends = [one for one in answers if one and one.kind == self.family.unreachable]
            if ends:
                return True
        return False

    def probe(self) -> tuple[str, Answer | None]:
        """Send one datagram; return what to print about it, and the answer if there is one."""
        self.seq += 1
        sent_ns = time.monotonic_ns()
        with calling("sendto"):
            self.probes.sendto(b"probe", (self.asked.address, BASE_PORT + self.seq))
        answer = self.wait_for_answer()
        if answer is None:
            return "*", None
        rtt_us = (time.monotonic_ns() - sent_ns) // 1000
        mark = ""
        if answer.kind == self.family.unreachable and answer.code != self.family.port_code:
            mark = self.family.marks.get(answer.code, f"!{answer.code}")
        return f"{answer.sender}={rtt_us}{mark}", answer

    def wait_for_answer(self) -> Answer | None:
        """Return the error about the probe that was sent last; others may come in between."""
        deadline = time.monotonic() + self.asked.wait_s
        while (left_s := deadline - time.monotonic()) > 0:
            self.errors.settimeout(left_s)
            with calling("recvfrom"):
                try:
                    packet, name = self.errors.recvfrom(BUFFER_SIZE)
                except TimeoutError:
                    return None
            # A raw IPv4 socket gets the IP header as well, with options if there are any.
            message = packet if self.family is IPV6 else packet[4 * (packet[0] & 0xF) :]
            if len(message) < ICMP_HEADER_BYTES:
                continue
            kind, code = message[0], message[1]
            if (kind, code) != (self.family.exceeded, 0) and kind != self.family.unreachable:
                continue
            about = quoted_udp(self.family, message[ICMP_HEADER_BYTES:])
            # The source port tells our probes from those of others; the destination port tells
            # this probe from an earlier one, whose answer comes late.
            if about == Quoted(self.destination, self.source_port, BASE_PORT + self.seq):
                return Answer(name[0], kind, code)
        return None


def main(arguments: list[str]) -> None:
    asked = settings(arguments)
    probes, errors = open_sockets(asked.family)
    with probes, errors:
        reached = Tracer(probes, errors, asked).run()
    sys.exit(0 if reached else NOT_REACHED)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
