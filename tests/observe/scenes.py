"""What was on the wire, for tests: packets between named nodes at given milliseconds."""

import struct
from ipaddress import IPv4Address
from typing import NamedTuple

from labctl.observe.echo import checksum
from labctl.observe.sighting import Sighting

START_NS = 1_700_000_000_000_000_000

ADDRESSES = {"client": "10.0.1.2", "router": "10.0.1.1", "server": "10.0.2.2", "other": "10.0.3.2"}

FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16}


class Fate(NamedTuple):
    """An entry of the fate log, as the ladder needs it."""

    time_s: float
    direction: str
    rule: int
    text: str
    done: str
    packet: str


def mac(node: str) -> bytes:
    """Return the Ethernet address of a node."""
    return b"\x02" + node.encode()[:5].ljust(5, b"\0")


def ipv4(source: str, target: str, protocol: int, inside: bytes, *, ttl: int = 64) -> bytes:
    """Return an IPv4 packet between two nodes."""
    head = struct.pack(
        "!BBHHHBBH4s4s",
        0x45,
        0,
        20 + len(inside),
        7,
        0,
        ttl,
        protocol,
        0,
        IPv4Address(ADDRESSES[source]).packed,
        IPv4Address(ADDRESSES[target]).packed,
    )
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + inside


def udp(
    source: str,
    target: str,
    payload: bytes,
    *,
    ports: tuple[int, int] = (4000, 8080),
    ttl: int = 64,
) -> bytes:
    """Return an IPv4 packet with a UDP datagram; ``ports`` are the sender's and the receiver's."""
    head = struct.pack("!HHHH", *ports, 8 + len(payload), 0)
    return ipv4(source, target, 17, head + payload, ttl=ttl)


def tcp(
    source: str,
    target: str,
    flags: str,
    payload: bytes = b"",
    *,
    seq: int = 0,
    ack: int = 0,
    window: int = 1000,
    ports: tuple[int, int] = (4000, 80),
) -> bytes:
    """Return an IPv4 packet with a TCP segment; ``flags`` are letters such as ``SA``."""
    bits = sum(FLAGS[letter] for letter in flags)
    head = struct.pack("!HHIIBBHHH", *ports, seq, ack, 5 << 4, bits, window, 0, 0)
    return ipv4(source, target, 6, head + payload)


def ethernet(source: str, target: str, packet: bytes, kind: int = 0x0800) -> bytes:
    """Return the frame that carries a packet from one node to the next."""
    to = b"\xff" * 6 if target == "*" else mac(target)
    return to + mac(source) + struct.pack("!H", kind) + packet


def arp(source: str) -> bytes:
    """Return a question for an address, as a frame."""
    ends = (mac(source), IPv4Address(ADDRESSES[source]).packed, bytes(6), bytes(4))
    return ethernet(
        source, "*", struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, *ends), kind=0x0806
    )


class Scene:
    """Collects sightings."""

    def __init__(self) -> None:
        self.sightings: list[Sighting] = []

    def see(
        self, at_ms: float, node: str, frame: bytes, *, out: bool, interface: str = "eth0"
    ) -> None:
        """One node sees a frame."""
        time_ns = START_NS + round(at_ms * 1_000_000)
        self.sightings.append(Sighting(time_ns, node, interface, out, frame))
        self.sightings.sort(key=lambda sighting: sighting.time_ns)

    def send(
        self,
        at_ms: float,
        source: str,
        target: str,
        packet: bytes,
        *,
        arrives: tuple[float, ...] | None = None,
        interfaces: tuple[str, str] = ("eth0", "eth0"),
        arriving: bytes | None = None,
    ) -> None:
        """One node sends a packet to the next; without ``arrives`` it is there at once.

        An empty one says that it is lost, ``arriving`` that it comes as something else.
        """
        self.see(at_ms, source, ethernet(source, target, packet), out=True, interface=interfaces[0])
        for arrives_ms in (at_ms + 0.02,) if arrives is None else arrives:
            frame = ethernet(source, target, arriving or packet)
            self.see(arrives_ms, target, frame, out=False, interface=interfaces[1])

    def fate(
        self, at_ms: float, direction: str, rule: int, text: str, done: str, packet: str
    ) -> Fate:
        """Return an entry of the fate log at that time."""
        return Fate(START_NS / 1e9 + at_ms / 1000, direction, rule, text, done, packet)


def handshake(scene: Scene, source: str = "client", target: str = "server") -> None:
    """Open a TCP connection; the numbers start at 1000 and 5000."""
    scene.send(0, source, target, tcp(source, target, "S", seq=1000))
    scene.send(1, target, source, tcp(target, source, "SA", seq=5000, ack=1001, ports=(80, 4000)))
    scene.send(2, source, target, tcp(source, target, "A", seq=1001, ack=5001))
