"""Packets for the checks of cksum, with their checksums right, wrong, missing or not filled in."""

import random
import socket
import struct
from typing import NamedTuple

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
NAMES = {TCP: "TCP", UDP: "UDP", ICMP: "ICMP", ICMPV6: "ICMPv6"}
FIELD = {ICMP: 2, TCP: 16, UDP: 6, ICMPV6: 2}
DONT_FRAGMENT, MORE_FRAGMENTS = 0x4000, 0x2000


class Ends(NamedTuple):
    """Who sends and who receives."""

    source: str
    destination: str

    @property
    def is_ipv6(self) -> bool:
        return ":" in self.source

    def packed(self) -> bytes:
        family = socket.AF_INET6 if self.is_ipv6 else socket.AF_INET
        return b"".join(socket.inet_pton(family, address) for address in self)


IPV4 = Ends("10.0.1.2", "10.0.1.1")
IPV6 = Ends("fd00:0:0:1::2", "fd00:0:0:1::1")


def checksum(data: bytes) -> int:
    """Return the Internet checksum."""
    words = struct.iter_unpack("!H", data + b"\0" * (len(data) % 2))
    total = sum(int(word) for (word,) in words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def with_field(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + struct.pack("!H", value) + data[at + 2 :]


def data_of(protocol: int, payload: bytes, ports: tuple[int, int] = (40001, 7777)) -> bytes:
    """Return what an IP header carries, with 0 for its checksum."""
    match protocol:
        case 17:
            return struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
        case 6:
            return struct.pack("!HHIIBBHHH", *ports, 1000, 0, 5 << 4, 2, 1024, 0, 0) + payload
        case _:
            kind = 128 if protocol == ICMPV6 else 8
            return struct.pack("!BBHHH", kind, 0, 0, *ports) + payload


def data_sum(ends: Ends, protocol: int, data: bytes) -> int:
    """Return the right checksum, as it would be sent."""
    pseudo = b""
    if ends.is_ipv6:
        pseudo = ends.packed() + struct.pack("!II", len(data), protocol)
    elif protocol != ICMP:
        pseudo = ends.packed() + struct.pack("!BBH", 0, protocol, len(data))
    total = checksum(pseudo + with_field(data, FIELD[protocol], 0))
    return 0xFFFF if protocol == UDP and total == 0 else total


def packet(
    ends: Ends,
    protocol: int,
    data: bytes,
    *,
    options: bytes = b"",
    fragment: int = DONT_FRAGMENT,
    header_sum: int | None = None,
    data_field: int | None = None,
) -> bytes:
    """Return an IP packet. A checksum that is not given is the right one."""
    if data_field is None:
        data_field = data_sum(ends, protocol, data)
    if len(data) >= FIELD[protocol] + 2:
        data = with_field(data, FIELD[protocol], data_field)
    if ends.is_ipv6:
        return struct.pack("!IHBB", 6 << 28, len(data), protocol, 64) + ends.packed() + data
    size = 20 + len(options)
    first = (4 << 4 | size // 4, 0, size + len(data), 0x1234, fragment, 64, protocol, 0)
    header = struct.pack("!BBHHHBBH", *first) + ends.packed() + options
    if header_sum is None:
        header_sum = checksum(header)
    return with_field(header, 10, header_sum) + data


def of_sum_zero(ends: Ends, protocol: int, rng: random.Random) -> bytes:
    """Return data whose sum comes out as zero, by the choice of its last two bytes."""
    data = data_of(protocol, rng.randbytes(10) + b"\0\0")
    return data[:-2] + struct.pack("!H", data_sum(ends, protocol, data))
