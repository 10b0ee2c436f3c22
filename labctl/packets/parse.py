"""A frame's bytes become a ``Packet``; whatever the bytes are, there is an answer."""

from ipaddress import IPv6Address
from typing import NamedTuple

from labctl.packets import icmp

_VLAN_TAGS = (0x8100, 0x88A8)
_ETHERNET_BYTES, _VLAN_BYTES, _IPV4_BYTES, _IPV6_BYTES = 14, 4, 20, 40
_MOST_TAGS = 4

_ICMP, _IGMP, _TCP, _UDP, _ICMPV6 = 1, 2, 6, 17, 58
_FRAGMENT = 44
_EXTENSIONS = (0, 43, 60)  # hop-by-hop options, routing header, destination options
_PROTOCOLS = {
    _ICMP: "ICMP",
    _IGMP: "IGMP",
    4: "IPv4",
    _TCP: "TCP",
    _UDP: "UDP",
    41: "IPv6",
    47: "GRE",
    50: "ESP",
    51: "AH",
    _ICMPV6: "ICMPv6",
    89: "OSPF",
    132: "SCTP",
}
_TCP_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
_FLAG_ORDER = (1, 0, 2, 3, 4, 5, 6, 7)  # SYN first: it is what one looks for

CUT_SHORT = "cut short"


class Tcp(NamedTuple):
    """The numbers of a TCP segment."""

    flags: frozenset[str]
    """``SYN``, ``ACK``, ..."""
    seq: int
    ack: int
    window: int
    """As it is in the header: what the option of SYN says about its scale is not known here."""


class Packet(NamedTuple):
    """One frame, as far as it could be understood."""

    source: str
    """The address and port it comes from: ``10.0.1.2:4000``, ``[fd00::1]:80``, or a MAC."""
    target: str
    protocol: str
    """``TCP``, ``UDP``, ``ICMP``, ``ARP``, ..."""
    text: str
    """What it says, without its addresses: ``SYN, ACK seq 5 ack 6``."""
    payload: bytes = b""
    """What a program sent, of TCP and UDP."""
    vlan: int | None = None
    tcp: Tcp | None = None


def parse_frame(frame: bytes) -> Packet:
    """Return what an Ethernet frame holds."""
    if len(frame) < _ETHERNET_BYTES:
        return Packet("?", "?", "Ethernet", f"{CUT_SHORT}, {_bytes(len(frame))}")
    source, target = _mac(frame[6:12]), _mac(frame[:6])
    at = 12
    vlan: int | None = None
    for _ in range(_MOST_TAGS):
        if _number(frame, at) not in _VLAN_TAGS or len(frame) < at + _VLAN_BYTES + 2:
            break
        if vlan is None:
            vlan = _number(frame, at + 2) & 0x0FFF
        at += _VLAN_BYTES
    kind = _number(frame, at)
    inside = frame[at + 2 :]
    match kind:
        case 0x0806:
            packet = _arp(inside, source, target)
        case 0x0800:
            packet = _ipv4(inside) or _cut(source, target, "IPv4", inside)
        case 0x86DD:
            packet = _ipv6(inside) or _cut(source, target, "IPv6", inside)
        case length if length < 0x0600:  # IEEE 802.3: a length, and not a type
            packet = Packet(source, target, "802.3", _bytes(len(inside)))
        case _:
            packet = Packet(source, target, f"ethertype 0x{kind:04x}", _bytes(len(inside)))
    return packet if vlan is None else packet._replace(vlan=vlan)


def _arp(message: bytes, source: str, target: str) -> Packet:
    if len(message) < 28 or message[:6] != b"\x00\x01\x08\x00\x06\x04":
        return Packet(source, target, "ARP", f"of another kind, {_bytes(len(message))}")
    sender, wanted = _dotted(message[14:18]), _dotted(message[24:28])
    match _number(message, 6):
        case 1 if sender == wanted:
            text = f"{sender} announces itself"
        case 1:
            text = f"who has {wanted}, tell {sender}"
        case 2:
            text = f"{sender} is at {_mac(message[8:14])}"
        case operation:
            text = f"operation {operation}"
    return Packet(source, target, "ARP", text)


def _ipv4(packet: bytes, *, is_quoted: bool = False) -> Packet | None:
    if len(packet) < _IPV4_BYTES or packet[0] >> 4 != 4:
        return None
    header = 4 * (packet[0] & 0x0F)
    total = _number(packet, 2)
    if header < _IPV4_BYTES or len(packet) < header:
        return None
    source, target = _dotted(packet[12:16]), _dotted(packet[16:20])
    # Short frames are padded, and with segmentation offload the total is zero.
    inside = packet[header : total if total >= header else None]
    offset = 8 * (_number(packet, 6) & 0x1FFF)
    if offset:
        return _later_fragment(source, target, packet[9], offset, inside)
    first = bool(_number(packet, 6) & 0x2000)
    return _transport(source, target, packet[9], inside, is_first=first, is_quoted=is_quoted)


def _ipv6(packet: bytes, *, is_quoted: bool = False) -> Packet | None:
    if len(packet) < _IPV6_BYTES or packet[0] >> 4 != 6:
        return None
    source, target = _colons(packet[8:24]), _colons(packet[24:40])
    length = _number(packet, 4)
    inside = packet[_IPV6_BYTES : _IPV6_BYTES + length if length else None]
    protocol = packet[6]
    first = False
    while protocol in _EXTENSIONS or protocol == _FRAGMENT:
        if len(inside) < 8:
            return Packet(source, target, "IPv6", f"{CUT_SHORT}, {_bytes(len(inside))}")
        following = inside[0]
        if protocol == _FRAGMENT:
            offset = _number(inside, 2) & 0xFFF8
            if offset:
                return _later_fragment(source, target, following, offset, inside[8:])
            first = bool(inside[3] & 1)
            inside = inside[8:]
        else:
            inside = inside[8 * (inside[1] + 1) :]
        protocol = following
    return _transport(source, target, protocol, inside, is_first=first, is_quoted=is_quoted)


def _later_fragment(source: str, target: str, protocol: int, offset: int, inside: bytes) -> Packet:
    text = f"fragment at {offset}, {_bytes(len(inside))}"
    return Packet(source, target, _protocol(protocol), text)


def _transport(
    source: str, target: str, protocol: int, inside: bytes, *, is_first: bool, is_quoted: bool
) -> Packet:
    """Return what is in an IP packet; a quoted one is what an ICMP error carries of it."""
    name = _protocol(protocol)
    is_ipv6 = ":" in source
    if protocol in (_TCP, _UDP):
        packet = _ports(source, target, protocol, inside, is_quoted=is_quoted)
    elif protocol == (_ICMPV6 if is_ipv6 else _ICMP):
        packet = Packet(source, target, name, _icmp(inside, is_ipv6=is_ipv6, is_quoted=is_quoted))
    else:
        packet = Packet(source, target, name, _bytes(len(inside)))
    return packet._replace(text=f"{packet.text}, first fragment") if is_first else packet


def _ports(source: str, target: str, protocol: int, inside: bytes, *, is_quoted: bool) -> Packet:
    name = _protocol(protocol)
    if len(inside) < 8:  # as much as an ICMP error quotes at least
        return _cut(source, target, name, inside)
    ends = (_with_port(source, _number(inside, 0)), _with_port(target, _number(inside, 2)))
    if is_quoted:
        return Packet(*ends, name, "")
    if protocol == _UDP:
        payload = inside[8 : max(8, _number(inside, 4)) if _number(inside, 4) else None]
        return Packet(*ends, name, _bytes(len(payload)), payload)
    header = 4 * (inside[12] >> 4) if len(inside) >= 20 else 0
    if header < 20 or len(inside) < header:
        return _cut(*ends, name, inside)
    flags = [_TCP_FLAGS[bit] for bit in _FLAG_ORDER if inside[13] & 1 << bit]
    seq, ack = int.from_bytes(inside[4:8], "big"), int.from_bytes(inside[8:12], "big")
    tcp = Tcp(frozenset(flags), seq, ack, _number(inside, 14))
    words = [", ".join(flags) or "no flags", f"seq {seq}"]
    if "ACK" in flags:
        words.append(f"ack {ack}")
    words.append(f"win {tcp.window}")
    payload = inside[header:]
    text = " ".join(words) + (f", {_bytes(len(payload))}" if payload else "")
    return Packet(*ends, name, text, payload, tcp=tcp)


def _icmp(message: bytes, *, is_ipv6: bool, is_quoted: bool) -> str:
    if len(message) < 8:
        return f"{CUT_SHORT}, {_bytes(len(message))}"
    said = icmp.describe(message, is_ipv6=is_ipv6)
    if is_quoted or not icmp.is_error(message[0], is_ipv6=is_ipv6):
        return said
    about = (_ipv6 if is_ipv6 else _ipv4)(message[8:], is_quoted=True)
    if about is None:
        return said
    return f"{said}, of {about.source} > {about.target} {about.protocol} {about.text}".rstrip()


def _cut(source: str, target: str, protocol: str, inside: bytes) -> Packet:
    return Packet(source, target, protocol, f"{CUT_SHORT}, {_bytes(len(inside))}")


def _protocol(number: int) -> str:
    return _PROTOCOLS.get(number, f"protocol {number}")


def _with_port(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _number(data: bytes, at: int) -> int:
    return data[at] << 8 | data[at + 1]


def _bytes(count: int) -> str:
    return "1 byte" if count == 1 else f"{count} bytes"


def _mac(address: bytes) -> str:
    return address.hex(":")


def _dotted(address: bytes) -> str:
    return ".".join(map(str, address))


def _colons(address: bytes) -> str:
    return str(IPv6Address(address))
