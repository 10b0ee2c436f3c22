"""RUDP/1: how a packet is laid out, which ones are believed, and numbers that begin again.

    'R' | type u8 | wnd u16 | conn u32 | seq u32 | ack u32 | crc u32 | payload, at most 1000 bytes

Numbers are big endian. ``seq`` numbers packets, not bytes. ``crc`` is the CRC-32 of zlib and Ethernet
over the whole datagram, taken with the field itself 0.
"""

import struct
import zlib
from typing import NamedTuple

SYN = 1
DATA = 2
ACK = 3
FIN = 4

MAX_PAYLOAD = 1000
NUMBERS = 2**32

HEADER = struct.Struct("!cBHIIII")
CRC_AT = 16

# Longer than any packet: one that is longer must not be cut to a good one.
BUFFER_SIZE = 2048


class Packet(NamedTuple):
    """One datagram of the protocol."""

    type: int
    conn: int
    seq: int = 0
    ack: int = 0
    wnd: int = 0
    payload: bytes = b""


def pack(packet: Packet) -> bytes:
    fields = (b"R", packet.type, packet.wnd, packet.conn, packet.seq, packet.ack)
    crc = zlib.crc32(HEADER.pack(*fields, 0) + packet.payload)
    return HEADER.pack(*fields, crc) + packet.payload


def unpack(datagram: bytes) -> Packet | None:
    """Return the packet, or None if this is none: then it counts as lost."""
    if not HEADER.size <= len(datagram) <= HEADER.size + MAX_PAYLOAD:
        return None
    magic, kind, wnd, conn, seq, ack, crc = HEADER.unpack_from(datagram)
    payload = datagram[HEADER.size :]
    # UDP has a checksum, of 16 bits, which finds most faults of a wire. A fault in the memory of a
    # router comes with a good one.
    if magic != b"R" or not SYN <= kind <= FIN or (kind == DATA) != bool(payload):
        return None
    return Packet(kind, conn, seq, ack, wnd, payload)


def distance(start: int, end: int) -> int:
    """Return how far ``end`` lies behind ``start``, where 0 comes after 4294967295.

    What lies before it seems very far behind: a difference, not a comparison, tells old from new.
    """
    return (end - start) % NUMBERS
