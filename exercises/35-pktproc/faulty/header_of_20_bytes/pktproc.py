#!/usr/bin/env python3
"""Say of each frame in a capture what it is, in a line.

usage: pktproc < FILE

FILE is a pcap file of Ethernet frames, in either byte order. Exit 0, or 1 where it is none or ends
in the middle of a frame.

What it shows: a frame is headers inside headers, each of which says what comes next and how long
it is. All of it was written by somebody else, so before a byte is read it has to be there, and a
length has to be possible before it is used.
"""

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

# pcap(5), by the four bytes that a file begins with.
BYTE_ORDERS = {
    b"\xd4\xc3\xb2\xa1": "<",
    b"\x4d\x3c\xb2\xa1": "<",  # with nanoseconds
    b"\xa1\xb2\xc3\xd4": ">",
    b"\xa1\xb2\x3c\x4d": ">",
}
FILE_HEADER_BYTES = 24
ETHERNET = 1
MOST_BYTES = 262_144  # tcpdump's own; more is no frame, but a file that is damaged

IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
TAGS = (0x8100, 0x88A8)

HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION = 0, 43, 44, 60
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58

FLAGS = "FSRPAU"  # from bit 0 on


class ShortError(Exception):
    """What is to be read next was not captured."""


class BadError(Exception):
    """A header that makes no sense."""


class Frame:
    """The bytes of a frame, taken one header after the other."""

    def __init__(self, data: bytes, length: int) -> None:
        self._data = data
        self._at = 0
        self.left = length
        """Bytes of the frame that were not taken yet, captured or not."""

    def take(self, size: int) -> bytes:
        """Return the next bytes. Raises where the frame had not so many, or they are not here."""
        if size > self.left:
            raise BadError
        data = self._data[self._at : self._at + size]
        if len(data) < size:
            raise ShortError
        self._at += size
        self.left -= size
        return data

    def limit(self, size: int) -> None:
        """Forget what is behind a packet: an Ethernet frame is padded to 60 bytes."""
        if size > self.left:
            raise BadError
        self.left = size


class Record(NamedTuple):
    """A frame as it is in the file."""

    data: bytes
    length: int
    """Of the frame as it was on the wire; the file may have less of it."""


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
    with calling("write"):
        os.write(-1 if sys.stdout is None else 1, f"{line}\n".encode())


def records(file: BinaryIO) -> Iterator[Record]:
    """Return the frames of a pcap file, each as soon as it is there."""
    head = file.read(FILE_HEADER_BYTES)
    order = BYTE_ORDERS.get(head[:4])
    if order is None or len(head) < FILE_HEADER_BYTES:
        sys.exit("error: read: no pcap file")
    if struct.unpack(f"{order}I", head[20:24])[0] != ETHERNET:
        sys.exit("error: read: no Ethernet frames")
    record_header = struct.Struct(f"{order}IIII")
    while head := file.read(record_header.size):
        if len(head) < record_header.size:
            sys.exit("error: read: the file ends in a record")
        _, _, size, length = record_header.unpack(head)
        if size > MOST_BYTES or size > length:
            sys.exit("error: read: a record makes no sense")
        data = file.read(size)
        if len(data) < size:
            sys.exit("error: read: the file ends in a record")
        yield Record(data, length)


def described(record: Record) -> Iterator[str]:
    """Return the words about a frame, from the outside to the inside."""
    frame = Frame(record.data, record.length)
    try:
        yield from ethernet(frame)
    except ShortError:
        yield "short"
    except BadError:
        yield "bad"


def ethernet(frame: Frame) -> Iterator[str]:
    (kind,) = struct.unpack("!12xH", frame.take(14))
    while kind in TAGS:
        tag, kind = struct.unpack("!HH", frame.take(4))
        yield f"vlan={tag & 0x0FFF}"  # the upper four bits are a priority
    if kind == ARP:
        yield from arp(frame)
    elif kind == IPV4:
        yield from ipv4(frame)
    elif kind == IPV6:
        yield from ipv6(frame)
    else:
        yield f"type=0x{kind:04x}"


def arp(frame: Frame) -> Iterator[str]:
    yield "arp"
    sizes = frame.take(6)
    if sizes != b"\0\x01\x08\0\x06\x04":  # Ethernet, IPv4, addresses of 6 and 4 bytes
        raise BadError
    operation, mac, sender, target = struct.unpack("!H6s4s6x4s", frame.take(22))
    if operation == 1:
        yield f"who-has {socket.inet_ntoa(target)} tell {socket.inet_ntoa(sender)}"
    elif operation == 2:
        yield f"{socket.inet_ntoa(sender)} is-at {mac.hex(':')}"
    else:
        yield f"op={operation}"


def ipv4(frame: Frame) -> Iterator[str]:
    yield "ip4"
    first, total, fragment, ttl, protocol, source, destination = struct.unpack(
        "!BxHxxHBBxx4s4s", frame.take(20)
    )
    header = first % 16 * 4
    if first >> 4 != 4 or not 20 <= header <= total:
        raise BadError
    frame.limit(total - 20)
    yield f"{socket.inet_ntoa(source)} -> {socket.inet_ntoa(destination)} ttl={ttl}"
    offset = (fragment & 0x1FFF) * 8
    has_more = bool(fragment & 0x2000)
    yield from payload(frame, protocol, offset, has_more)


def ipv6(frame: Frame) -> Iterator[str]:
    yield "ip6"
    first, length, protocol, hops, source, destination = struct.unpack(
        "!B3xHBB16s16s", frame.take(40)
    )
    if first >> 4 != 6:
        raise BadError
    frame.limit(length)
    ends = (socket.inet_ntop(socket.AF_INET6, end) for end in (source, destination))
    yield f"{' -> '.join(ends)} ttl={hops}"
    offset, has_more = 0, False
    # Each extension header says what comes next, so there can be many; but each takes 8 bytes.
    while protocol in (HOP_BY_HOP, ROUTING, DESTINATION, FRAGMENT) and not offset:
        following, size, fragment = struct.unpack("!BBH4x", frame.take(8))
        if protocol == FRAGMENT:
            offset, has_more = fragment & 0xFFF8, bool(fragment & 1)
        else:
            frame.take(size * 8)  # its length, less the 8 bytes that each has
        protocol = following
    yield from payload(frame, protocol, offset, has_more)


def payload(frame: Frame, protocol: int, offset: int, has_more: bool) -> Iterator[str]:
    """Describe what an IP header carries."""
    if offset or has_more:
        yield f"frag={offset}{'+' if has_more else ''}"
    if offset:
        # The header is in the first fragment; what is here are bytes from the middle.
        yield f"proto={protocol} data={frame.left}"
    elif protocol == UDP:
        yield "udp"
        source, destination = struct.unpack("!HH4x", frame.take(8))
        yield f"{source} -> {destination} data={frame.left}"
    elif protocol == TCP:
        yield from tcp(frame)
    elif protocol in (ICMP, ICMPV6):
        yield "icmp" if protocol == ICMP else "icmp6"
        kind, code = struct.unpack("!BBxx", frame.take(4))
        yield f"type={kind} code={code}"
    else:
        yield f"proto={protocol} data={frame.left}"


def tcp(frame: Frame) -> Iterator[str]:
    yield "tcp"
    source, destination, seq, ack, words, bits = struct.unpack("!HHIIBB6x", frame.take(20))
    header = (words >> 4) * 4
    if header < 20:
        raise BadError
    frame.take(header - 20)  # options
    flags = "".join(name for bit, name in enumerate(FLAGS) if bits >> bit & 1) or "-"
    yield f"{source} -> {destination} flags={flags} seq={seq} ack={ack} data={frame.left}"


def main(arguments: list[str]) -> None:
    if arguments:
        print("usage: pktproc < FILE", file=sys.stderr)
        sys.exit(2)
    if sys.stdin is None:  # started with `<&-`
        sys.exit("error: read: EBADF (Bad file descriptor)")
    for number, record in enumerate(records(sys.stdin.buffer), 1):
        say(" ".join([str(number), f"len={record.length}", *described(record)]))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
