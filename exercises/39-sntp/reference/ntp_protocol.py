"""The packet of NTP and SNTP (RFC 4330, section 4), and its clock.

48 bytes, numbers big endian:

    leap indicator 2 bits, version 3 bits, mode 3 bits | stratum u8 | poll i8 | precision i8
    root delay i32 | root dispersion u32       seconds, of which 16 bits are the fraction
    reference identifier, 4 bytes
    reference | originate | receive | transmit timestamp, u64 each

A timestamp counts seconds since 1900, of which 32 bits are the fraction, and begins anew every 136
years, in 2036 for the first time. So two timestamps are never compared: their difference is taken,
as a signed number of 64 bits, and it is right as long as the clocks are less than 68 years apart.
"""

import struct
import time
from typing import NamedTuple

PACKET = struct.Struct("!BBbbiI4sQQQQ")
CLIENT, SERVER, BROADCAST = 3, 4, 5
NOT_SYNCHRONIZED = 3

SECONDS_TO_1970 = 2_208_988_800
"""From 1900 on: 70 years, 17 of them leap years."""


class Packet(NamedTuple):
    """What both ends send."""

    leap: int = 0
    version: int = 4
    mode: int = 0
    stratum: int = 0
    poll: int = 0
    precision: int = 0
    root_delay: int = 0
    root_dispersion: int = 0
    reference_id: bytes = bytes(4)
    reference: int = 0
    originate: int = 0
    receive: int = 0
    transmit: int = 0


def pack(packet: Packet) -> bytes:
    leap, version, mode, *rest = packet
    return PACKET.pack(leap << 6 | version << 3 | mode, *rest)


def unpack(datagram: bytes) -> Packet | None:
    """Return the packet, or nothing where the datagram is too short; what follows is not for us."""
    if len(datagram) < PACKET.size:
        return None
    first, *rest = PACKET.unpack_from(datagram)
    return Packet(first >> 6, first >> 3 & 7, first & 7, *rest)


def now() -> int:
    """Return the time of day as a timestamp."""
    # Not the monotonic clock: it is the time of day that we want to know.
    seconds, ns = divmod(time.time_ns(), 10**9)
    return ((seconds + SECONDS_TO_1970) % 2**32 << 32) | (ns << 32) // 10**9


def difference(later: int, earlier: int) -> int:
    """Return how much later one timestamp is, in units of 2**-32 s."""
    return (later - earlier + 2**63) % 2**64 - 2**63


def microseconds(units: int, fraction_bits: int) -> int:
    return round(units * 10**6 / 2**fraction_bits)


def unix_seconds(timestamp: int) -> int:
    """Return whole seconds since 1970 of a time from 1968 to 2104 (RFC 4330, section 3)."""
    seconds = timestamp >> 32
    if seconds < 2**31:  # the next era: it begins in 2036 with 0
        seconds += 2**32
    return seconds - SECONDS_TO_1970
