"""What icmpd and its clients say to each other: two messages, numbers big endian.

Verdict, 4 bytes:   errno u32; 0 if the socket was taken
Report, 12 bytes:   errno u32 | ICMP type u8 | ICMP code u8 | port u16 | IPv4 address, 4 bytes

Port and address are those to which the datagram was sent that brought about the error.
"""

import socket
import struct
from typing import NamedTuple

VERDICT = struct.Struct("!I")
REPORT = struct.Struct("!IBBH4s")


class Report(NamedTuple):
    """An error about one datagram."""

    errno: int
    kind: int
    code: int
    port: int
    address: str


def pack_verdict(number: int) -> bytes:
    return VERDICT.pack(number)


def unpack_verdict(message: bytes) -> int:
    (number,) = VERDICT.unpack(message)
    return int(number)


def pack_report(report: Report) -> bytes:
    *rest, address = report
    return REPORT.pack(*rest, socket.inet_aton(address))


def unpack_report(message: bytes) -> Report:
    *rest, address = REPORT.unpack(message)
    return Report(*rest, socket.inet_ntoa(address))
