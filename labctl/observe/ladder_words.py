"""What a packet says, in few words: the labels of a ladder's arrows; pure."""

import unicodedata
from typing import NamedTuple

from labctl.packets.parse import Packet, Tcp

_MOST_LETTERS = 24
_MOST_HEX_BYTES = 4
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
_HALF = 1 << 31
_MODULUS = 1 << 32

_HOUSEKEEPING = frozenset(("ARP", "IGMP", "802.3", "ethertype 0x88cc"))
_HOUSEKEEPING_ICMPV6 = ("neighbour ", "router ", "multicast ")


class Words(NamedTuple):
    """What is said about one packet."""

    label: str
    note: str = ""
    """What is peculiar about it: ``retransmission``."""
    is_data: bool = False
    """Whether it carries what a program sent."""
    is_end: bool = False
    """Whether nothing more is to be expected after it: FIN, RST, an error."""


def is_housekeeping(packet: Packet) -> bool:
    """Whether it is only how nodes and switches find each other."""
    if packet.protocol == "ICMPv6":
        return packet.text.startswith(_HOUSEKEEPING_ICMPV6)
    return packet.protocol in _HOUSEKEEPING


def conversation_of(packet: Packet) -> tuple[str, ...]:
    """Return what its packets have in common, both ways; empty where there are no ports."""
    if packet.protocol in ("TCP", "UDP"):
        return (packet.protocol, *sorted((packet.source, packet.target)))
    return ()


class Speaker:
    """Puts packets into words; they are given in the order in which they were sent."""

    def __init__(self) -> None:
        self._streams: dict[tuple[str, str], _Stream] = {}

    def words(self, packet: Packet) -> Words:
        """Return what to say about the next packet."""
        vlan = "" if packet.vlan is None else f"VLAN {packet.vlan}, "
        words = self._plain(packet)
        return words._replace(label=vlan + words.label)

    def _plain(self, packet: Packet) -> Words:
        if packet.tcp is not None:
            return self._tcp(packet, packet.tcp)
        if packet.protocol == "UDP" and "fragment at" not in packet.text:
            more = ", first fragment" if packet.text.endswith("first fragment") else ""
            return Words(f"{said(packet.payload)}{more}", is_data=True)
        if packet.protocol in ("ICMP", "ICMPv6"):
            text, of, about = packet.text.partition(", of ")
            ends, _, protocol = about.rpartition(" ")
            port = ends.rpartition(":")[2] if ":" in ends else ""
            told = f" ({protocol.lower()} {port})" if port.isdecimal() and protocol else ""
            return Words(f"ICMP {_without_id(text)}{told}", is_end=bool(of))
        return Words(f"{packet.protocol} {packet.text}")

    def _tcp(self, packet: Packet, tcp: Tcp) -> Words:
        key, back = (packet.source, packet.target), (packet.target, packet.source)
        stream = self._streams.get(key)
        if stream and stream.first != tcp.seq and "SYN" in tcp.flags and "ACK" not in tcp.flags:
            self._streams.pop(back, None)  # a new connection from the same port
            stream = None
        if stream is None:
            # Without its SYN the first byte that is seen counts as the first.
            start = tcp.seq if "SYN" in tcp.flags else (tcp.seq - 1) % _MODULUS
            stream = self._streams[key] = _Stream(start)
        if "ACK" in tcp.flags and back not in self._streams:
            self._streams[back] = _Stream((tcp.ack - 1) % _MODULUS)
        size = len(packet.payload) + len(tcp.flags & {"SYN", "FIN"})
        at = stream.relative(tcp.seq)
        note = ""
        if "RST" not in tcp.flags:  # whoever refuses, or has forgotten the connection, says seq 0
            if at == stream.sent - 1 and not size:
                peer = self._streams.get(back)
                note = "window probe" if peer and peer.window == 0 else "keep-alive"
            elif size and at + size <= stream.sent:
                note = "retransmission"
            elif size and at < stream.sent:
                note = "retransmission in part"
            stream.sent = max(stream.sent, at + size)
            stream.window = tcp.window
        label = self._tcp_label(packet, tcp, at, back)
        return Words(
            label, note, is_data=bool(packet.payload), is_end=bool(tcp.flags & {"FIN", "RST"})
        )

    def _tcp_label(self, packet: Packet, tcp: Tcp, at: int, back: tuple[str, str]) -> str:
        marks = [flag for flag in ("SYN", "FIN", "RST", "URG") if flag in tcp.flags]
        parts = []
        if packet.payload:
            start = "" if at == 1 else f"seq {at}: "
            parts = [start + said(packet.payload), *marks]
        elif marks:
            parts = [*marks, *(["ACK"] if "ACK" in tcp.flags else [])]
        elif "ACK" in tcp.flags:
            parts = [f"ACK {self._streams[back].relative(tcp.ack)}"]
        else:
            parts = ["no flags"]
        if tcp.window == 0 and "RST" not in tcp.flags:
            parts.append("window 0")
        return ", ".join(parts)


class _Stream:
    """One direction of a TCP connection."""

    def __init__(self, first: int) -> None:
        self.first = first
        """The sequence number of its SYN."""
        self.sent = 0
        """How far it has come, counted from that."""
        self.window = -1

    def relative(self, number: int) -> int:
        """Return a sequence number as counted from the SYN, beyond 4 GiB too."""
        distance = (number - self.first - self.sent) % _MODULUS
        return self.sent + (distance - _MODULUS if distance >= _HALF else distance)


def said(payload: bytes) -> str:
    """Return ``2 bytes "hi"``, ``24 bytes 544d0102…``: nothing in it moves a terminal's cursor."""
    size = "1 byte" if len(payload) == 1 else f"{len(payload)} bytes"
    if not payload:
        return size
    text = _text(payload)
    if text:
        more = "…" if len(text) > _MOST_LETTERS else ""
        shown = "".join(_ESCAPES.get(letter, letter) for letter in text[:_MOST_LETTERS])
        return f'{size} "{shown}{more}"'
    more = "…" if len(payload) > _MOST_HEX_BYTES else ""
    return f"{size} {payload[:_MOST_HEX_BYTES].hex()}{more}"


def _text(payload: bytes) -> str:
    """Return the beginning of a payload that is text; empty where it is none."""
    head = payload[: 4 * _MOST_LETTERS + 4]  # a letter of UTF-8 has up to four bytes
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if len(head) == len(payload) or error.start < len(head) - 3:
            return ""
        text = head[: error.start].decode()  # the last letter was cut
    return text if all(_is_text(letter) for letter in text) else ""


def _is_text(letter: str) -> bool:
    if letter in "\n\r\t":
        return True
    # What is wide, or drawn over its neighbour, would push the lines of the ladder aside.
    return (
        letter.isprintable()
        and unicodedata.east_asian_width(letter) not in ("W", "F")
        and not unicodedata.combining(letter)
    )


def _without_id(text: str) -> str:
    """Leave out the number that only tells one ping(8) from another."""
    words = text.split(" ")
    return " ".join((*words[:2], *words[4:])) if words[2:3] == ["id"] else text
