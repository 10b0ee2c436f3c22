"""TFTP, RFC 1350: the five kinds of packets, and what they are as bytes.

    RRQ    1 | filename | 0 | mode | 0      read, "get"
    WRQ    2 | filename | 0 | mode | 0      write, "put"
    DATA   3 | block | up to 512 bytes      the last one has less than 512, perhaps none
    ACK    4 | block                        0 accepts a WRQ
    ERROR  5 | code | text | 0              ends the transfer; is never answered

The first field and the second of DATA, ACK and ERROR are 16 bits, big endian. Each packet is one
UDP datagram.
"""

import struct
from typing import NamedTuple

RRQ, WRQ, DATA, ACK, ERROR = range(1, 6)

BLOCK_SIZE = 512

# Longer than any packet of ours: a datagram that is too long is not to look like a full block.
BUFFER_SIZE = 2048

FAILED = 0  # the text says why
NOT_FOUND = 1
ACCESS_VIOLATION = 2
DISK_FULL = 3
ILLEGAL_OPERATION = 4
UNKNOWN_TID = 5
FILE_EXISTS = 6


class TransferError(Exception):
    """The transfer cannot go on; the client is told so with an ERROR packet."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Request(NamedTuple):
    """What a client asks on the well-known port."""

    operation: int
    name: bytes


class Block(NamedTuple):
    """DATA or ACK: what goes to and fro in a transfer."""

    operation: int
    number: int
    content: bytes = b""


def pack_block(block: Block) -> bytes:
    return struct.pack("!HH", block.operation, block.number) + block.content


def pack_error(error: TransferError) -> bytes:
    return struct.pack("!HH", ERROR, error.code) + str(error).encode() + b"\0"


def operation_of(datagram: bytes) -> int:
    """Return the first field; 0, which is none of the five, if there is not even that."""
    return int.from_bytes(datagram[:2], "big") if len(datagram) >= 2 else 0


def unpack_request(datagram: bytes) -> Request:
    """Return the request in a datagram. Raises ``TransferError``."""
    operation = operation_of(datagram)
    if operation not in (RRQ, WRQ):
        raise TransferError(ILLEGAL_OPERATION, "neither RRQ nor WRQ")
    # What follows the mode are options (RFC 2347). A server that has none leaves them unanswered,
    # and then the client goes on without.
    name, mode, *_ = [*datagram[2:].split(b"\0"), b"", b""]
    if datagram.count(b"\0", 2) != 2 or mode.lower() != b"octet":
        raise TransferError(ILLEGAL_OPERATION, "only mode octet")
    return Request(operation, name)


def unpack_block(datagram: bytes) -> Block | None:
    """Return the DATA or ACK in a datagram, or None if it is neither."""
    if len(datagram) < 4 or operation_of(datagram) not in (DATA, ACK):
        return None
    return Block(*struct.unpack_from("!HH", datagram), datagram[4:])
