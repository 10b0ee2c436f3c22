"""FRAME/1: how a frame is laid out, and how frames are taken from a TCP stream.

    version u8 | type u8 | flags u16 | seq u32 | len u32 | sum u32 | ts u64 | payload, len bytes

Numbers are big endian. ``sum`` adds up all bytes of the frame but its own four. ``ts`` is in seconds
since 1970. A stream of bytes has no marks where a frame begins: only the lengths say so, and after
one that is wrong nothing that follows can be understood.
"""

import struct
import time
from typing import NamedTuple

VERSION = 1

HELLO = 1
DATA = 2
ACK = 3
ERROR = 4
HEARTBEAT = 5
GOODBYE = 6

MAX_PAYLOAD = 1024

# "!" is network byte order without padding. In C a struct of these fields happens to have no gaps
# either, but its byte order is the machine's.
HEADER = struct.Struct("!BBHIIIQ")
SUM_AT = slice(12, 16)


class BrokenFrameError(Exception):
    """What came is no frame, so where the next one begins cannot be told; the text says why."""


class Frame(NamedTuple):
    """A frame, without what is the same in all and what is derived."""

    type: int
    seq: int
    payload: bytes = b""


def checksum(frame: bytes) -> int:
    """Add up the bytes of a whole frame, without those of the field ``sum``."""
    return (sum(frame) - sum(frame[SUM_AT])) % 2**32


def pack_frame(frame: Frame) -> bytes:
    length = len(frame.payload)
    now = int(time.time())
    header = HEADER.pack(VERSION, frame.type, 0, frame.seq, length, 0, now)
    total = checksum(header + frame.payload)
    return HEADER.pack(VERSION, frame.type, 0, frame.seq, length, total, now) + frame.payload


class FrameBuffer:
    """What has come of a stream, and the frames in it."""

    def __init__(self) -> None:
        self._received = bytearray()

    def put(self, data: bytes) -> None:
        self._received += data

    def take(self) -> Frame | None:
        """Return the next frame, or None while it is not whole. Raises ``BrokenFrameError``."""
        if len(self._received) < HEADER.size:
            return None
        version, kind, _flags, seq, length, total, _ts = HEADER.unpack_from(self._received)
        # These two before the payload is waited for: with a wrong length there may never be one,
        # and whoever believes four bytes may have to keep four gigabytes.
        size = HEADER.size + length
        if len(self._received) < size:
            return None
        if version != VERSION:
            raise BrokenFrameError(f"bad version {version}")
        if length > MAX_PAYLOAD:
            raise BrokenFrameError(f"bad length {length}")
        frame = bytes(self._received[:size])
        del self._received[:size]
        if checksum(frame) != total:
            raise BrokenFrameError(f"bad sum {total}")
        return Frame(kind, seq, frame[HEADER.size :])
