"""Which frames are the same packet, seen at several places."""

_VLAN_TAGS = (b"\x81\x00", b"\x88\xa8")
_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"
_TCP, _UDP, _SCTP = 6, 17, 132
_CHECKSUMS = {_TCP: (16, 18), _UDP: (6, 8), _SCTP: (8, 12)}
"""Where each protocol has its checksum, from its own header on."""

_EXTENSIONS = (0, 43, 60)  # of IPv6: hop-by-hop options, routing header, destination options
_FRAGMENT = 44


def on_link(frame: bytes) -> bytes:
    """Return what the two ends of a link see alike: all but the checksums.

    The sender's network card fills these in (or, between two namespaces, nobody does).
    """
    start = _ip_start(frame)
    return frame[:start] + _without_checksums(frame[start:], _is_ipv6(frame, start))


def on_path(frame: bytes) -> bytes:
    """Return what stays the same when routers forward it: also without hop limit and Ethernet.

    Empty for what is no IP packet.
    """
    start = _ip_start(frame)
    packet = bytearray(_without_checksums(frame[start:], _is_ipv6(frame, start)))
    if frame[start - 2 : start] == _IPV4 and len(packet) >= 20:
        packet[8] = 0
    elif _is_ipv6(frame, start) and len(packet) >= 40:
        packet[7] = 0
    else:
        return b""
    return bytes(packet)


def _ip_start(frame: bytes) -> int:
    start = 14
    while frame[start - 2 : start] in _VLAN_TAGS:
        start += 4
    return start


def _is_ipv6(frame: bytes, start: int) -> bool:
    return frame[start - 2 : start] == _IPV6


def _without_checksums(packet: bytes, is_ipv6: bool) -> bytes:
    changed = bytearray(packet)
    if is_ipv6:
        protocol, at = _behind_ipv6(packet)
    elif len(packet) >= 20 and packet[0] >> 4 == 4:
        changed[10:12] = bytes(2)
        is_later_fragment = (packet[6] & 0x1F) or packet[7]
        protocol, at = -1 if is_later_fragment else packet[9], 4 * (packet[0] & 0x0F)
    else:
        return packet
    first, last = _CHECKSUMS.get(protocol, (0, 0))
    if len(packet) >= at + last:
        changed[at + first : at + last] = bytes(last - first)
    return bytes(changed)


def _behind_ipv6(packet: bytes) -> tuple[int, int]:
    """Return the protocol behind the extension headers, and where it starts."""
    if len(packet) < 40:
        return -1, 0
    protocol, at = packet[6], 40
    while protocol in _EXTENSIONS and len(packet) >= at + 8:
        protocol, at = packet[at], at + 8 * (packet[at + 1] + 1)
    if protocol == _FRAGMENT and len(packet) >= at + 8:
        is_later = packet[at + 2] or packet[at + 3] & 0xF8
        return -1 if is_later else packet[at], at + 8
    return protocol, at
