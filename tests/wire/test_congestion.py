import struct

import pytest

from labctl.wire.congestion import marked_frame

ADDRESSES = bytes(12)


def checksum(header: bytes) -> int:
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total & 0xFFFF)


def ipv4(tos: int, *, vlan: bytes = b"", identification: int = 0) -> bytes:
    header = struct.pack(
        "!BBHHHBBH4s4s", 0x45, tos, 28, identification, 0, 64, 17, 0, b"\x0a\0\0\1", b"\x0a\0\0\2"
    )
    header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
    return ADDRESSES + vlan + b"\x08\x00" + header + b"somewhat"


def ipv6(traffic_class: int) -> bytes:
    first = (6 << 28) | (traffic_class << 20) | 0x12345
    return (
        ADDRESSES + b"\x86\xdd" + struct.pack("!IHBB", first, 8, 17, 64) + bytes(32) + b"somewhat"
    )


@pytest.mark.parametrize("tos", [0b01, 0b10, 0b11, 0xB9])
@pytest.mark.parametrize("identification", [0, 1, 0x1234, 0x7FFF, 0xFFFF])
def test_an_ipv4_packet_is_marked_and_its_checksum_is_right(tos: int, identification: int) -> None:
    frame = ipv4(tos, identification=identification)
    assert marked_frame(frame) == ipv4(tos | 3, identification=identification)


def test_every_ipv4_checksum_survives_the_mark() -> None:
    for identification in range(0, 65536, 7):
        marked = marked_frame(ipv4(2, identification=identification))
        assert marked is not None
        assert checksum(marked[14:34]) == 0


def test_a_tagged_packet_is_marked_too() -> None:
    vlan = b"\x81\x00\x00\x05"
    assert marked_frame(ipv4(2, vlan=vlan)) == ipv4(3, vlan=vlan)


@pytest.mark.parametrize("traffic_class", [1, 2, 3, 0xFE])
def test_an_ipv6_packet_is_marked(traffic_class: int) -> None:
    assert marked_frame(ipv6(traffic_class)) == ipv6(traffic_class | 3)


@pytest.mark.parametrize(
    "frame",
    [
        ipv4(0),
        ipv4(0xB8),
        ipv6(0),
        ADDRESSES + b"\x08\x06" + bytes(28),
        ipv4(2)[:20],
        ipv6(2)[:30],
        ADDRESSES,
        ADDRESSES + b"\x81\x00",
        b"",
    ],
)
def test_what_does_not_allow_the_mark_is_left_alone(frame: bytes) -> None:
    assert marked_frame(frame) is None
