"""The other end of a ping, made by the check: it sees each request and sends what it likes."""

import socket
import struct
from typing import NamedTuple

from labctl.testing import WITHIN_S, Lab, unmet

ECHO = struct.Struct("!BBHHH")
DATA_BYTES = 56

_ICMP6_FILTER = 1
_LET_PASS_ALL = bytes(32)


class Family(NamedTuple):
    """What differs between IPv4 and IPv6."""

    name: str
    number: int
    protocol: int
    request: int
    reply: int
    target: str
    """Of client2, behind the router."""
    router: str
    """Of the router, at client1's side."""
    client: str
    nowhere: str
    """An address to which the router has no route."""
    pings: str
    """A pcap filter for echo requests."""
    errors: tuple[tuple[int, int], ...]
    """Types and codes of errors that quote a packet."""
    ignore_all: str
    """The sysctl that keeps the kernel from replying."""


IPV4 = Family(
    "IPv4",
    socket.AF_INET,
    socket.IPPROTO_ICMP,
    8,
    0,
    "10.0.2.2",
    "10.0.1.1",
    "10.0.1.2",
    "10.0.9.9",
    "icmp and icmp[0] == 8",
    ((3, 1), (3, 13), (11, 0), (12, 0)),
    "net.ipv4.icmp_echo_ignore_all",
)
IPV6 = Family(
    "IPv6",
    socket.AF_INET6,
    socket.IPPROTO_ICMPV6,
    128,
    129,
    "fd00:0:0:2::2",
    "fd00:0:0:1::1",
    "fd00:0:0:1::2",
    "fd00:0:0:9::9",
    "icmp6 and ip6[40] == 128",
    ((1, 3), (2, 0), (3, 0), (4, 1)),
    "net.ipv6.icmp.echo_ignore_all",
)
FAMILIES = {"IPv4": IPV4, "IPv6": IPV6}


class Request(NamedTuple):
    """An echo request as it arrived."""

    identifier: int
    seq: int
    data: bytes
    quoted: bytes
    """Its IP header and its echo header, as an error message quotes them."""


def checksum(data: bytes) -> int:
    """Return the Internet checksum; 0 where it is in the data and right."""
    words = struct.iter_unpack("!H", data + b"\0" * (len(data) % 2))
    total = sum(int(word) for (word,) in words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def message(family: Family, kind: int, code: int, rest: bytes) -> bytes:
    """Return an ICMP message: type, code, checksum and the rest."""
    if family is IPV6:
        return bytes([kind, code, 0, 0]) + rest  # the kernel's raw socket fills it in
    total = checksum(bytes([kind, code, 0, 0]) + rest)
    return struct.pack("!BBH", kind, code, total) + rest


def echo_message(family: Family, kind: int, identifier: int, seq: int, data: bytes) -> bytes:
    return message(family, kind, 0, struct.pack("!HH", identifier, seq) + data)


def error_message(family: Family, kind: int, code: int, quoted: bytes) -> bytes:
    return message(family, kind, code, bytes(4) + quoted)


class Peer:
    """Client2 in place of its kernel, which keeps quiet; and the router, for what it may send."""

    def __init__(self, lab: Lab, family: Family) -> None:
        lab["client2"].set(family.ignore_all, "1")
        self.family = family
        self.socket = lab["client2"].socket(family.number, socket.SOCK_RAW, family.protocol)
        self.router = lab["server"].socket(family.number, socket.SOCK_RAW, family.protocol)

    def request(self, hint: str = "") -> Request:
        """Wait for the next request of the program."""
        family = self.family
        self.socket.settimeout(WITHIN_S)
        try:
            while True:
                packet, (sender, *_) = self.socket.recvfrom(65536)
                header = b"" if family is IPV6 else packet[: packet[0] % 16 * 4]
                icmp = packet[len(header) :]
                if icmp[0] == family.request and sender == family.client:
                    break
        except TimeoutError:
            unmet(
                f"an echo request ({family.name}, type {family.request}) reaches {family.target}",
                f"none did within {WITHIN_S:g} s",
                hint or "each request goes out when it is due, whether or not others were answered",
            )
        header = header or ipv6_header(family.client, family.target, len(icmp), family.protocol)
        _, _, _, identifier, seq = ECHO.unpack(icmp[:8])
        return Request(identifier, seq, icmp[8:], header + icmp[:8])

    def requests(self, number: int) -> list[Request]:
        return [self.request() for _ in range(number)]

    def send(self, icmp: bytes, *, by_router: bool = False) -> None:
        """Send a message to the program's node."""
        sock = self.router if by_router else self.socket
        sock.sendto(icmp, (self.family.client, 0))

    def reply(self, asked: Request, *, data: bytes | None = None) -> None:
        """Send a good reply; with other data, if the check wants that."""
        family = self.family
        back = asked.data if data is None else data
        self.send(echo_message(family, family.reply, asked.identifier, asked.seq, back))


def ipv6_header(source: str, destination: str, length: int, protocol: int) -> bytes:
    return struct.pack("!IHBB", 6 << 28, length, protocol, 63) + b"".join(
        socket.inet_pton(socket.AF_INET6, address) for address in (source, destination)
    )
