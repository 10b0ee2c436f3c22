#!/usr/bin/env python3
"""Compute and check the Internet checksums of packets.

usage: inet_cksum < COMMANDS

Reads a command a line and answers each with a line. Bytes are in hexadecimal:

    sum BYTES       the checksum of the bytes (RFC 1071)            220d
    fill PACKET     the packet with its checksums                   4500001c...
    check PACKET    what they are                                   header=ok data=bad

PACKET is an IPv4 or IPv6 packet, from its IP header on. What is none is answered `error: EINVAL`.

What it shows: one sum does for all of them, but what it is taken over differs. The header's own
covers the header; that of UDP and TCP also covers the addresses, which are not theirs; ICMP's does
not, ICMPv6's does; and a sum of zero in UDP says that there is none.
"""

import errno
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

ICMP = 1
TCP = 6
UDP = 17
ICMPV6 = 58

# How long the header is at least, and where the checksum is in it.
LEAST_BYTES = {ICMP: 8, TCP: 20, UDP: 8, ICMPV6: 8}
FIELD = {ICMP: 2, TCP: 16, UDP: 6, ICMPV6: 2}

IPV4_FIELD = 10


class NoPacketError(ValueError):
    """The bytes are no packet, or not all of it."""


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
    data = f"{line}\n".encode()
    with calling("write"):
        while data:
            data = data[os.write(-1 if sys.stdout is None else 1, data) :]


def checksum(data: bytes) -> int:
    """Return the checksum of RFC 1071; over data that has its right one in it, that is 0."""
    # A byte that is left over is the high half of a word whose low half is 0.
    words = struct.iter_unpack("!H", data + b"\0" * (len(data) % 2))
    total = sum(word for (word,) in words)
    # In one's complement what is carried out at the top comes in at the bottom. Adding it can
    # carry again.
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Packet(NamedTuple):
    """Where the parts of a packet are."""

    header: slice | None
    """The IPv4 header; IPv6 has no checksum of its own."""
    protocol: int
    data: slice | None
    """What the IP header carries; nothing where its checksum cannot be told."""
    addresses: bytes


def parse(packet: bytes) -> Packet:
    """Find the parts. Raises ``NoPacketError`` where bytes are missing or make no sense."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        header = packet[0] % 16 * 4
        # The packet says how long it is. More bytes are not its own: an Ethernet frame has at
        # least 60, and a shorter packet is followed by padding.
        end = int.from_bytes(packet[2:4], "big")
        if not 20 <= header <= end <= len(packet):
            raise NoPacketError
        protocol = packet[9]
        # More fragments, or not the first: the sum covers the whole datagram, which is not here.
        is_fragment = int.from_bytes(packet[6:8], "big") & 0x3FFF
        data = None if is_fragment else slice(header, end)
        parts = Packet(slice(0, header), protocol, data, packet[12:20])
    elif version == 6 and len(packet) >= 40:
        end = 40 + int.from_bytes(packet[4:6], "big")
        if end > len(packet):
            raise NoPacketError
        parts = Packet(None, packet[6], slice(40, end), packet[8:40])
    else:
        raise NoPacketError
    if parts.data and has_sum(parts):
        length = parts.data.stop - parts.data.start
        if length < LEAST_BYTES[parts.protocol]:
            raise NoPacketError
        at = parts.data.start + 4
        if parts.protocol == UDP and int.from_bytes(packet[at : at + 2], "big") != length:
            raise NoPacketError
    return parts


def has_sum(parts: Packet) -> bool:
    # ICMPv6 in IPv4, or ICMP in IPv6, is a number that nobody asks the meaning of.
    known = (TCP, UDP, ICMP) if parts.header else (TCP, UDP, ICMPV6)
    return parts.data is not None and parts.protocol in known


def pseudo_header(parts: Packet, length: int) -> bytes:
    """Return what is summed as if it stood before the data."""
    if parts.header:
        return parts.addresses + struct.pack("!BBH", 0, parts.protocol, length)
    return parts.addresses + struct.pack("!II", length, parts.protocol)


def data_sum(packet: bytes, parts: Packet) -> int:
    """Return the checksum of the data, as it stands there."""
    assert parts.data
    data = packet[parts.data]
    return checksum(pseudo_header(parts, len(data)) + data)


def fill(packet: bytes) -> bytes:
    """Return the packet with its checksums right."""
    parts = parse(packet)
    filled = bytearray(packet)
    if parts.header:
        put(filled, IPV4_FIELD, 0)  # the field counts as zero while it is computed
        put(filled, IPV4_FIELD, checksum(filled[parts.header]))
    if parts.data and has_sum(parts):
        field = parts.data.start + FIELD[parts.protocol]
        put(filled, field, 0)
        total = data_sum(filled, parts)
        if parts.protocol == UDP and total == 0:
            # In UDP a zero says that there is no checksum. In one's complement there are two
            # zeros, and 0xffff is the other.
            total = 0xFFFF
        put(filled, field, total)
    return bytes(filled)


def put(packet: bytearray, at: int, value: int) -> None:
    packet[at : at + 2] = value.to_bytes(2, "big")


def check(packet: bytes) -> str:
    """Return what the checksums are."""
    parts = parse(packet)
    header = data = "-"
    if parts.header:
        header = "bad" if checksum(packet[parts.header]) else "ok"
    if parts.data and has_sum(parts):
        field = parts.data.start + FIELD[parts.protocol]
        if parts.protocol == UDP and packet[field : field + 2] == b"\0\0":
            # IPv6 has no header checksum that would protect the addresses, so UDP's is a must.
            data = "none" if parts.header else "bad"
        else:
            data = "bad" if data_sum(packet, parts) else "ok"
    return f"header={header} data={data}"


def answer(command: str) -> str:
    match command.split():
        case ["sum"]:
            return f"{checksum(b''):04x}"
        case ["sum", text]:
            return f"{checksum(bytes.fromhex(text)):04x}"
        case ["fill", text]:
            return fill(bytes.fromhex(text)).hex()
        case ["check", text]:
            return check(bytes.fromhex(text))
        case _:
            raise ValueError


def main(arguments: list[str]) -> None:
    if arguments:
        print("usage: inet_cksum < COMMANDS", file=sys.stderr)
        sys.exit(2)
    if sys.stdin is None:  # started with `<&-`
        sys.exit("error: read: EBADF (Bad file descriptor)")
    for command in sys.stdin.buffer:
        try:
            said = answer(command.decode())
        except ValueError:  # no packet, no hexadecimal digits, no command
            said = "error: EINVAL"
        say(said)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
