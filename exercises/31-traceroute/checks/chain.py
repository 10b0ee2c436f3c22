"""The chain of routers, and ICMP errors of the check's own about a probe that was seen."""

import socket
import struct
from typing import NamedTuple

from labctl.testing import WITHIN_S, Lab, Program, machine_error, unmet, until

BASE_PORT = 33434

UDP = 17


class Family(NamedTuple):
    """What differs between IPv4 and IPv6."""

    name: str
    number: int
    protocol: int
    hops: tuple[str, ...]
    """Who answers for TTL 1, 2, …; the last is the server."""
    client: str
    nowhere: str
    """An address to which r2 has no route."""
    probes: str
    """A pcap filter for what the program sends."""
    silenced: str
    """A pcap filter for the errors of a router whose address is put in."""
    exceeded: int
    unreachable: int
    marks: tuple[tuple[int, str], ...]
    """Codes of unreachable and how they are to be printed."""
    other_mark: tuple[int, str]
    """One more."""
    port_code: int
    """The code that says: this is the host."""


IPV4 = Family(
    "IPv4",
    socket.AF_INET,
    socket.IPPROTO_ICMP,
    ("10.0.0.2", "10.0.1.2", "10.0.2.2", "10.0.3.2"),
    "10.0.0.1",
    "10.0.9.9",
    "ip and udp and src host 10.0.0.1",
    "icmp[0] == 11 and src host {}",
    11,
    3,
    ((1, "!H"), (13, "!X"), (10, "!10")),
    (2, "!P"),
    3,
)
IPV6 = Family(
    "IPv6",
    socket.AF_INET6,
    socket.IPPROTO_ICMPV6,
    ("fd00::2", "fd00:0:0:1::2", "fd00:0:0:2::2", "fd00:0:0:3::2"),
    "fd00::1",
    "fd00:0:0:9::9",
    "ip6 and udp and src host fd00::1",
    "icmp6 and ip6[40] == 3 and src host {}",
    3,
    1,
    ((3, "!H"), (1, "!X"), (5, "!5")),
    (6, "!6"),
    4,
)
FAMILIES = {"IPv4": IPV4, "IPv6": IPV6}


class Probe(NamedTuple):
    """A datagram of the program's, from its IP header on."""

    family: Family
    packet: bytes

    @property
    def header_bytes(self) -> int:
        return 40 if self.family is IPV6 else 4 * (self.packet[0] & 0xF)

    @property
    def ttl(self) -> int:
        return self.packet[7 if self.family is IPV6 else 8]

    @property
    def ports(self) -> tuple[int, int]:
        source, destination = struct.unpack_from("!HH", self.packet, self.header_bytes)
        return int(source), int(destination)

    def quoted(
        self,
        *,
        source_port: int = 0,
        destination_port: int = 0,
        protocol: int = UDP,
        destination: str = "",
    ) -> bytes:
        """Return what an error quotes of it, with another value where one is given."""
        packet = bytearray(self.packet[: self.header_bytes + 8])
        packet[6 if self.family is IPV6 else 9] = protocol
        sport, dport = self.ports
        struct.pack_into(
            "!HH", packet, self.header_bytes, source_port or sport, destination_port or dport
        )
        if destination:
            at = 24 if self.family is IPV6 else 16
            raw = socket.inet_pton(self.family.number, destination)
            packet[at : at + len(raw)] = raw
        return bytes(packet)


def probes(lab: Lab, family: Family) -> list[Probe]:
    """Return what the program has sent so far, in order."""
    seen = lab.packets(family.probes, sent_by="client")
    return [Probe(family, sighting.frame[14:]) for sighting in seen]


def probe(lab: Lab, family: Family, number: int, program: Program) -> Probe:
    """Wait for the program's probe of that number, from 1."""

    def is_there() -> bool:
        return len(probes(lab, family)) >= number or not program.is_running()

    until(is_there, WITHIN_S)
    seen = probes(lab, family)
    if len(seen) < number:
        unmet(
            f"probe number {number} ({family.name})",
            f"{len(seen)} datagrams are on the wire"
            + ("" if program.is_running() else f", and the program {program.how_it_ended()}"),
            "three datagrams for each TTL, one after the other: each after the answer to the one "
            "before, or after -W milliseconds",
        )
    return seen[number - 1]


def expect_arrived(lab: Lab, family: Family, sender: str, number: int) -> None:
    """Wait until the client has received so many ICMP messages of a sender."""
    match = f"{'icmp6' if family is IPV6 else 'icmp'} and src host {sender}"
    if not until(lambda: len(lab.packets(match, received_by="client")) >= number, WITHIN_S):
        raise machine_error("errors of the check's own do not arrive", where="check")


class Router:
    """A node that sends the errors that the check wants."""

    def __init__(self, lab: Lab, family: Family, node: str) -> None:
        self.family = family
        self.socket = lab[node].socket(family.number, socket.SOCK_RAW, family.protocol)

    def send(self, kind: int, code: int, quoted: bytes) -> None:
        """Send the client an error that quotes a packet."""
        message = struct.pack("!BBHI", kind, code, 0, 0) + quoted
        if self.family is IPV4:  # IPv6: the kernel fills it in
            message = struct.pack("!BBHI", kind, code, checksum(message), 0) + quoted
        self.socket.sendto(message, (self.family.client, 0))


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    words = struct.iter_unpack("!H", data + b"\0" * (len(data) % 2))
    total = sum(int(word) for (word,) in words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
