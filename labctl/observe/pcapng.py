"""Writes sightings as a pcapng file, for Wireshark and tshark (draft-ietf-opsawg-pcapng); pure."""

import struct
from collections.abc import Iterable
from typing import BinaryIO

from labctl.observe.sighting import Sighting

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER = 0x1A2B3C4D
_LENGTH_UNKNOWN = -1
_ETHERNET = 1  # LINKTYPE_ETHERNET
_NO_LIMIT = 0

_END_OF_OPTIONS = 0
_NAME, _RESOLUTION = 2, 9  # of an interface
_NANOSECONDS = 9  # the resolution, as a power of ten
_APPLICATION = 4  # of the section
_FLAGS = 2  # of a packet
_INBOUND, _OUTBOUND = 1, 2


def write_pcapng(file: BinaryIO, sightings: Iterable[Sighting]) -> None:
    """Write all frames, with an interface called ``client1:veth_c1`` for each place they were seen.

    The same frame is in the file once for each place.
    """
    head = struct.pack("<IHHq", _BYTE_ORDER, 1, 0, _LENGTH_UNKNOWN)
    file.write(_block(_SECTION, head, (_APPLICATION, b"labctl")))
    interfaces: dict[str, int] = {}
    for sighting in sightings:
        number = interfaces.get(sighting.place)
        if number is None:
            number = interfaces[sighting.place] = len(interfaces)
            file.write(
                _block(
                    _INTERFACE,
                    struct.pack("<HxxI", _ETHERNET, _NO_LIMIT),
                    (_NAME, sighting.place.encode()),
                    (_RESOLUTION, bytes([_NANOSECONDS])),
                )
            )
        size = len(sighting.frame)
        high, low = divmod(sighting.time_ns, 1 << 32)
        direction = _OUTBOUND if sighting.is_outgoing else _INBOUND
        file.write(
            _block(
                _PACKET,
                struct.pack("<IIIII", number, high, low, size, size) + _padded(sighting.frame),
                (_FLAGS, struct.pack("<I", direction)),
            )
        )


def _block(kind: int, body: bytes, *options: tuple[int, bytes]) -> bytes:
    parts = [struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options]
    inside = body + b"".join(parts) + struct.pack("<HH", _END_OF_OPTIONS, 0)
    length = struct.pack("<I", len(inside) + 12)
    return struct.pack("<I", kind) + length + inside + length


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
