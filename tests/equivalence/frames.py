"""Numbered datagrams in whole frames, the same for every link under test."""

import struct
from typing import NamedTuple

SMALLEST = 100
"""Longer than anything a node says by itself."""

NOT_ECT, ECT, CE = 0, 2, 3

_ETHERNET = bytes.fromhex("02005e000002 02005e000001 0800")
"""To nobody: the tap at the end sees the frame, and no stack answers it."""

_NUMBER_AT = 42


class Arrival(NamedTuple):
    """A frame that came out of a link."""

    number: int
    sent_ns: int
    arrived_ns: int
    frame: bytes

    @property
    def delay_ns(self) -> int:
        """How long it was under way."""
        return self.arrived_ns - self.sent_ns


def frame(number: int, size: int = SMALLEST, ecn: int = NOT_ECT) -> bytes:
    """Return a UDP datagram with a number, in a frame of that length."""
    packet_bytes = size - len(_ETHERNET)
    header = struct.pack(
        "!BBHHHBBH4s4s", 0x45, ecn, packet_bytes, 0, 0, 64, 17, 0, b"\x0a\0\0\1", b"\x0a\0\0\2"
    )
    header = header[:10] + (~_sum(header) & 0xFFFF).to_bytes(2, "big") + header[12:]
    datagram = struct.pack("!HHHH", 7000, 7000, packet_bytes - 20, 0) + struct.pack("!I", number)
    return (_ETHERNET + header + datagram).ljust(size, b"\x55")


def number_of(received: bytes) -> int:
    """Return the number of a frame that is whole."""
    return int.from_bytes(received[_NUMBER_AT : _NUMBER_AT + 4], "big")


def ecn_of(received: bytes) -> int:
    """Return the congestion bits, of a frame whose IP header is right."""
    assert _sum(received[14:34]) == 0xFFFF, "the checksum of the IP header is wrong"
    return received[15] & CE


def _sum(words: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(words) // 2}H", words))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total
