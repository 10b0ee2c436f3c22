"""The congestion mark of RFC 3168, set in an Ethernet frame as a router would set it."""

_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"
_VLANS = (b"\x81\x00", b"\x88\xa8")
_CE = 3


def marked_frame(frame: bytes) -> bytes | None:
    """Return the frame with "congestion experienced" set; None where the sender does not allow it.

    Allowed are IPv4 and IPv6 packets that say ECT(0) or ECT(1), and those marked already.
    """
    start, kind = 14, frame[12:14]
    while kind in _VLANS:
        kind, start = frame[start + 2 : start + 4], start + 4
    if kind == _IPV4 and len(frame) >= start + 20:
        return _marked_ipv4(frame, start)
    if kind == _IPV6 and len(frame) >= start + 40:
        return _marked_ipv6(frame, start)
    return None


def _marked_ipv4(frame: bytes, start: int) -> bytes | None:
    tos = frame[start + 1]
    if not tos & _CE:
        return None
    added = _CE - (tos & _CE)
    marked = bytearray(frame)
    marked[start + 1] = tos | _CE
    # RFC 1624: the header's sum grew by what was added, so its complement shrinks by it.
    total = (~int.from_bytes(frame[start + 10 : start + 12], "big") & 0xFFFF) + added
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    marked[start + 10 : start + 12] = checksum.to_bytes(2, "big")
    return bytes(marked)


def _marked_ipv6(frame: bytes, start: int) -> bytes | None:
    # The traffic class lies across two bytes; its last two bits are bits 5 and 4 of the second.
    second = frame[start + 1]
    if not second & (_CE << 4):
        return None
    marked = bytearray(frame)
    marked[start + 1] = second | (_CE << 4)
    return bytes(marked)
