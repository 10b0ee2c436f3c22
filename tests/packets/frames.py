"""Ethernet frames for tests, from the fields that matter in them."""

import struct
from ipaddress import IPv4Address, IPv6Address

from labctl.observe.echo import checksum

ADDRESSES = bytes.fromhex("020000000001 020000000002")
CLIENT, SERVER = "10.0.2.2", "10.0.1.1"


def ethernet(kind: int, inside: bytes) -> bytes:
    """Return a frame from 02:00:00:00:00:02 to 02:00:00:00:00:01."""
    return ADDRESSES + struct.pack("!H", kind) + inside


def ipv4(protocol: int, inside: bytes, *, fragment: int = 0, options: bytes = b"") -> bytes:
    """Return a frame from the client to the server; ``fragment`` is the field of that name."""
    words = 5 + len(options) // 4
    length = 4 * words + len(inside)
    ends = IPv4Address(CLIENT).packed + IPv4Address(SERVER).packed
    head = struct.pack("!BBHHHBBH", 0x40 | words, 0, length, 7, fragment, 64, protocol, 0)
    total = struct.pack("!H", checksum(head + ends + options))
    return ethernet(0x0800, head[:10] + total + ends + options + inside)


def ipv6(protocol: int, inside: bytes) -> bytes:
    """Return a frame from fd00::2 to fd00::1."""
    ends = IPv6Address("fd00::2").packed + IPv6Address("fd00::1").packed
    return ethernet(
        0x86DD, struct.pack("!IHBB", 6 << 28, len(inside), protocol, 64) + ends + inside
    )


def udp_segment(payload: bytes = b"", *, source: int = 4000, target: int = 8080) -> bytes:
    """Return a UDP datagram without its IP header."""
    return struct.pack("!HHHH", source, target, 8 + len(payload), 0) + payload


def udp(payload: bytes = b"", *, target: int = 8080) -> bytes:
    """Return a frame with a UDP datagram to the server."""
    return ipv4(17, udp_segment(payload, target=target))


def tcp_segment(flags: int, payload: bytes = b"", *, seq: int = 1, ack: int = 0) -> bytes:
    """Return a TCP segment from port 4000 to port 80, without its IP header."""
    return struct.pack("!HHIIBBHHH", 4000, 80, seq, ack, 5 << 4, flags, 65535, 0, 0) + payload


def echo(kind: int = 8, seq: int = 1) -> bytes:
    """Return a frame with an ICMP echo request or reply."""
    return ipv4(1, struct.pack("!BBHHH", kind, 0, 0, 9, seq))


def arp(operation: int, sender: str, wanted: str) -> bytes:
    """Return a frame with an ARP message."""
    ends = (ADDRESSES[6:], IPv4Address(sender).packed, bytes(6), IPv4Address(wanted).packed)
    return ethernet(0x0806, struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, operation, *ends))
