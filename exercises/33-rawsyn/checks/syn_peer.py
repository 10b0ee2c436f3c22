"""The other end of a scan, made by the check: a port of client2 where the kernel keeps quiet."""

import array
import socket
import struct
from typing import NamedTuple

from labctl.testing import WITHIN_S, Lab, Node, Sighting, unmet, until

TCP = struct.Struct("!HHIIBBHHH")
SYN, RST, ACK = 0x02, 0x04, 0x10
SYN_ONLY = "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn"

CLIENT, TARGET, ELSEWHERE = "10.0.1.2", "10.0.2.2", "10.0.2.9"

_SO_ATTACH_FILTER = 26
_RETURN_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)


class Syn(NamedTuple):
    """A SYN as it arrived."""

    packet: bytes
    """From its IP header on."""
    source: str
    source_port: int
    port: int
    seq: int

    @property
    def header(self) -> int:
        return self.packet[0] % 16 * 4

    @property
    def segment(self) -> bytes:
        total = int.from_bytes(self.packet[2:4], "big")
        return self.packet[self.header : total]


def checksum(data: bytes) -> int:
    """Return the Internet checksum; 0 where it is in the data and right."""
    words = struct.iter_unpack("!H", data + b"\0" * (len(data) % 2))
    total = sum(int(word) for (word,) in words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def tcp_sum(source: str, destination: str, segment: bytes) -> int:
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    return checksum(addresses + struct.pack("!BBH", 0, 6, len(segment)) + segment)


def read_syn(sighting: Sighting) -> Syn:
    packet = sighting.frame[14:]
    segment = packet[packet[0] % 16 * 4 :]
    source_port, port, seq = struct.unpack("!HHI", segment[:8])
    return Syn(packet, socket.inet_ntoa(packet[12:16]), source_port, port, seq)


def silence(node: Node, port: int) -> None:
    """Have a port of the node not answer at all, as behind a firewall that drops."""
    sock = node.socket(socket.AF_INET, socket.SOCK_STREAM)
    # A listening socket whose filter lets nothing pass: its segments are dropped without a word.
    program = array.array("B", _RETURN_NOTHING)
    fprog = struct.pack("HP", 1, program.buffer_info()[0])
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)
    sock.bind(("0.0.0.0", port))
    sock.listen()


def syns(lab: Lab, port: int = 0, *, node: str = "client2") -> list[Syn]:
    """Return the SYNs that have arrived by now, for one port or for all."""
    match = SYN_ONLY + (f" and tcp dst port {port}" if port else "")
    return [read_syn(each) for each in lab.packets(match, received_by=node)]


def first_syn(lab: Lab, port: int, hint: str, *, node: str = "client2") -> Syn:
    """Wait for the SYN to a port. Raises ``Unmet`` where none comes."""
    found = until(lambda: syns(lab, port, node=node), WITHIN_S)
    if not found:
        unmet(f"a SYN to port {port} reaches {node}", "none does", hint)
    return found[0]


class Answerer:
    """Sends segments to client1 in the name of anybody."""

    def __init__(self, lab: Lab) -> None:
        self.socket = lab["client2"].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def segment(
        self,
        syn: Syn,
        flags: int,
        *,
        acknowledged: int = 1,
        source: str = TARGET,
        port_by: int = 0,
        to_by: int = 0,
        options: bytes = b"",
        size: int = 20,
    ) -> None:
        """Send an answer to a SYN, with what is wrong in it, if anything is."""
        ports = syn.port + port_by, syn.source_port + to_by
        numbers = 1000, (syn.seq + acknowledged) % 2**32
        fields = (*ports, *numbers, 5 << 4, flags, 1024)
        total = tcp_sum(source, syn.source, TCP.pack(*fields, 0, 0))
        segment = TCP.pack(*fields, total, 0)[:size]
        words = 5 + len(options) // 4
        # The kernel fills in the length, the identification and the checksum of the header.
        header = struct.pack("!BBHHHBBH", 4 << 4 | words, 0, 0, 0, 0, 64, 6, 0)
        addresses = socket.inet_aton(source) + socket.inet_aton(syn.source)
        self.socket.sendto(header + addresses + options + segment, (syn.source, 0))
