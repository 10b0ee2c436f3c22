"""Frames for the checks of pktproc, built from layers of which each knows its words."""

import random
import socket
import struct
from typing import NamedTuple

MACS = bytes.fromhex("0200000000aa0200000000bb")
FLAGS = "FSRPAU"


class Layer(NamedTuple):
    """A part of a frame that makes sense as a whole."""

    data: bytes
    before: str = ""
    """The words that are said before it is looked at."""
    after: str = ""
    """The words that are said when all of it is there."""


class Frame(NamedTuple):
    """A frame, and what there is to say about it."""

    layers: list[Layer]
    rest: bytes = b""

    @property
    def data(self) -> bytes:
        return b"".join(layer.data for layer in self.layers) + self.rest

    def words(self, cut: int = 1 << 20) -> str:
        """Return what is to be said of the frame if only so much of it was captured."""
        said, at = [], 0
        for layer in self.layers:
            said.append(layer.before)
            at += len(layer.data)
            if at > cut:
                said.append("short")
                break
            said.append(layer.after)
        return " ".join(word for word in said if word)


def ethernet(kind: int, *layers: Layer, rest: bytes = b"", tags: tuple[int, ...] = ()) -> Frame:
    kinds = [0x8100 if at or len(tags) == 1 else 0x88A8 for at in range(len(tags))] + [kind]
    head = [Layer(MACS + struct.pack("!H", kinds[0]))]
    for tag, following in zip(tags, kinds[1:], strict=True):
        head.append(Layer(struct.pack("!HH", tag, following), after=f"vlan={tag & 0xFFF}"))
    return Frame([*head, *layers], rest)


def ipv4(
    protocol: int, *layers: Layer, rest: bytes = b"", options: bytes = b"", fragment: int = 0x4000
) -> Frame:
    size = 20 + len(options)
    total = size + sum(len(layer.data) for layer in layers) + len(rest)
    head = struct.pack("!BBHHHBBH", 0x40 | size // 4, 0, total, 7, fragment, 63, protocol, 0)
    ends = socket.inet_aton("10.0.1.2") + socket.inet_aton("192.0.2.77")
    words = "10.0.1.2 -> 192.0.2.77 ttl=63"
    header = [Layer(head + ends, "ip4", "" if options else words)]
    if options:
        header.append(Layer(options, "", words))
    return ethernet(0x0800, *header, *layers, rest=rest)


def ipv6(protocol: int, *layers: Layer, rest: bytes = b"") -> Frame:
    length = sum(len(layer.data) for layer in layers) + len(rest)
    ends = [socket.inet_pton(socket.AF_INET6, end) for end in ("fd00:0:0:1::2", "2001:db8::f00")]
    data = struct.pack("!IHBB", 6 << 28 | 0x12345, length, protocol, 255) + b"".join(ends)
    header = Layer(data, "ip6", "fd00:0:0:1::2 -> 2001:db8::f00 ttl=255")
    return ethernet(0x86DD, header, *layers, rest=rest)


def udp(rng: random.Random, data: int) -> Layer:
    source, destination = rng.randrange(1, 65536), rng.randrange(1, 65536)
    head = struct.pack("!HHHH", source, destination, 8 + data, 0)
    return Layer(head, "udp", f"{source} -> {destination} data={data}")


def tcp(rng: random.Random, data: int, bits: int, options: int = 0) -> list[Layer]:
    source, destination = rng.randrange(1, 65536), rng.randrange(1, 65536)
    seq, ack = rng.randrange(2**32), rng.randrange(2**32)
    words = (20 + options) // 4
    head = struct.pack("!HHIIBBHHH", source, destination, seq, ack, words << 4, bits, 512, 0, 0)
    flags = "".join(name for bit, name in enumerate(FLAGS) if bits >> bit & 1) or "-"
    said = f"{source} -> {destination} flags={flags} seq={seq} ack={ack} data={data}"
    if not options:
        return [Layer(head, "tcp", said)]
    return [Layer(head, "tcp"), Layer(rng.randbytes(options), "", said)]


def icmp(kind: int, code: int, *, name: str = "icmp") -> Layer:
    return Layer(bytes([kind, code, 0, 0]), name, f"type={kind} code={code}")


def arp(operation: int, words: str) -> Frame:
    sizes = Layer(bytes.fromhex("0001080006 04".replace(" ", "")), "arp")
    ends = MACS[6:] + socket.inet_aton("10.0.1.2") + bytes(6) + socket.inet_aton("10.0.1.1")
    return ethernet(0x0806, sizes, Layer(struct.pack("!H", operation) + ends, "", words))


def file_header(order: str = "<", magic: int = 0xA1B2C3D4, link: int = 1) -> bytes:
    return struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link)


def record(data: bytes, length: int | None = None, order: str = "<") -> bytes:
    size = len(data) if length is None else length
    return struct.pack(f"{order}IIII", 1_700_000_000, 7, len(data), size) + data
