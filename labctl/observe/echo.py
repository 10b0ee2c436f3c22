"""ICMP echo, as bytes (RFC 792, RFC 4443). No sockets, no clock."""

import struct
from typing import NamedTuple

_ECHO_REPLY, _UNREACHABLE, _ECHO_REQUEST, _TIME_EXCEEDED = 0, 3, 8, 11
_V6_UNREACHABLE, _V6_TIME_EXCEEDED, _V6_ECHO_REQUEST, _V6_ECHO_REPLY = 1, 3, 128, 129

_UNREACHABLE_TEXT = {0: "network unreachable", 1: "host unreachable", 13: "filtered"}
_V6_UNREACHABLE_TEXT = {0: "no route", 1: "filtered", 3: "address unreachable"}

_HEADER_BYTES = 8


class Answer(NamedTuple):
    """What came back for an echo request."""

    sequence: int
    error: str
    """Empty for a reply; else what an error message on the way said."""


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo_request(identifier: int, sequence: int, *, ipv6: bool) -> bytes:
    """Return an echo request without payload; both numbers have 16 bits.

    The kernel fills in the checksum of an ICMPv6 message, which covers its addresses.
    """
    kind = _V6_ECHO_REQUEST if ipv6 else _ECHO_REQUEST
    message = struct.pack("!BBHHH", kind, 0, 0, identifier, sequence)
    if ipv6:
        return message
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


def parse_answer(packet: bytes, identifier: int, *, ipv6: bool) -> Answer | None:
    """Return what a packet from a raw socket says about a request of ours, if anything.

    A raw ICMP socket gives IPv4 packets with their header, ICMPv6 messages without.
    """
    message = packet if ipv6 else packet[4 * (packet[0] & 0x0F) :] if packet else b""
    if len(message) < _HEADER_BYTES:
        return None
    kind, code, _, its_identifier, sequence = struct.unpack_from("!BBHHH", message)
    if kind == (_V6_ECHO_REPLY if ipv6 else _ECHO_REPLY):
        return Answer(sequence, "") if its_identifier == identifier else None
    error = _error_text(kind, code, ipv6=ipv6)
    # An error message carries the packet that caused it: its IP header, then our request.
    inner = message[_HEADER_BYTES:]
    at = 40 if ipv6 else 4 * (inner[0] & 0x0F) if inner else 0
    if not error or len(inner) < at + _HEADER_BYTES:
        return None
    inner_kind, _, _, its_identifier, sequence = struct.unpack_from("!BBHHH", inner, at)
    if inner_kind != (_V6_ECHO_REQUEST if ipv6 else _ECHO_REQUEST) or its_identifier != identifier:
        return None
    return Answer(sequence, error)


def _error_text(kind: int, code: int, *, ipv6: bool) -> str:
    if kind == (_V6_UNREACHABLE if ipv6 else _UNREACHABLE):
        texts = _V6_UNREACHABLE_TEXT if ipv6 else _UNREACHABLE_TEXT
        return texts.get(code, f"unreachable (code {code})")
    if kind == (_V6_TIME_EXCEEDED if ipv6 else _TIME_EXCEEDED):
        return "time exceeded"
    return ""
