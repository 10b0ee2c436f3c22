"""Random numbers that are a hash of what they are for, and so do not depend on timing.

A ``Stream`` of ``labctl.wire.chance`` answers one question after another; a rule asks about the
packet of a number, and need not ask about each.
"""

from zlib import crc32

from labctl.wire.chance import mixed

_MASK = 2**64 - 1
_THROWS = 8


def key_of(seed: int, name: str) -> int:
    """Return what tells the dice of one rule from those of another."""
    return mixed(mixed(seed & _MASK) ^ crc32(name.encode("utf-8", "surrogateescape")))


def dice(key: int, nth: int, throw: int = 0) -> float:
    """Return a number from 0 up to but not including 1: one throw for the ``nth`` packet."""
    # 53 bits are what a float holds exactly.
    return (mixed(key ^ mixed(nth * _THROWS + throw)) >> 11) / 2**53
