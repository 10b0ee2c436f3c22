"""TIME/1: the two messages of the time service, as bytes.

Request, 16 bytes:   "TM" | version 1 | type 1 | seq u32 | t_client u64
Response, 24 bytes:  "TM" | version 1 | type 2 | seq u32 | t_client u64 | t_server u64

Numbers are big endian, the "network byte order": the first byte sent is the most significant.
``t_client`` means something to the client alone; the server returns it as it came.
``t_server`` is the server's clock, in nanoseconds since 1970.

A message is one datagram. Anything can arrive at a UDP port, so every field that has one right
value is checked, and what does not fit is not answered.
"""

import struct
from typing import NamedTuple

MAGIC = b"TM"
VERSION = 1
REQUEST_TYPE = 1
RESPONSE_TYPE = 2

# "!" is network byte order without padding; s, B, I, Q are bytes, u8, u32, u64.
REQUEST = struct.Struct("!2sBBIQ")
RESPONSE = struct.Struct("!2sBBIQQ")

# Longer than any message. With a buffer of exactly 16 bytes a datagram of 17 would be cut, and
# then look like a good request.
BUFFER_SIZE = 2048


class MalformedError(ValueError):
    """The datagram is not a message of this protocol; the text says why."""


class Request(NamedTuple):
    """What a client asks."""

    seq: int
    t_client: int


class Response(NamedTuple):
    """What the server answers."""

    seq: int
    t_client: int
    t_server: int


def pack_request(request: Request) -> bytes:
    return REQUEST.pack(MAGIC, VERSION, REQUEST_TYPE, *request)


def pack_response(response: Response) -> bytes:
    return RESPONSE.pack(MAGIC, VERSION, RESPONSE_TYPE, *response)


def unpack_request(datagram: bytes) -> Request:
    return Request(*_fields(datagram, REQUEST, REQUEST_TYPE))


def unpack_response(datagram: bytes) -> Response:
    return Response(*_fields(datagram, RESPONSE, RESPONSE_TYPE))


def _fields(datagram: bytes, layout: struct.Struct, wanted_type: int) -> tuple[int, ...]:
    """Check the fixed fields and return the others."""
    # The length first: unpack() of a short datagram would fail, and in C read beyond its end.
    if len(datagram) != layout.size:
        raise MalformedError(f"{len(datagram)} bytes instead of {layout.size}")
    magic, version, message_type, *rest = layout.unpack(datagram)
    if magic != MAGIC:
        raise MalformedError(f"magic {magic.hex()} instead of {MAGIC.hex()}")
    if version != VERSION:
        raise MalformedError(f"version {version} instead of {VERSION}")
    if message_type != wanted_type:
        raise MalformedError(f"type {message_type} instead of {wanted_type}")
    return tuple(rest)
