import pytest

from labctl.packets.identity import on_link, on_path
from tests.packets.frames import arp, ethernet, ipv4, ipv6, tcp_segment, udp_segment

SCTP = bytes(8) + b"\1\2\3\4" + b"data"


def changed(frame: bytes, at: int, value: bytes) -> bytes:
    return frame[:at] + value + frame[at + len(value) :]


def tagged(frame: bytes) -> bytes:
    return frame[:12] + b"\x81\x00\x00\x05" + frame[12:]


@pytest.mark.parametrize(
    ("frame", "at"),
    [
        (ipv4(17, udp_segment(b"x")), 24),
        (ipv4(17, udp_segment(b"x")), 40),
        (ipv4(6, tcp_segment(2)), 50),
        (ipv4(6, tcp_segment(2), options=b"\1" * 4), 54),
        (ipv4(132, SCTP), 42),
        (ipv6(17, udp_segment(b"x")), 60),
        (ipv6(6, tcp_segment(2)), 70),
        (ipv6(0, b"\x11\0" + bytes(6) + udp_segment(b"x")), 68),
        (ipv6(44, b"\x11\0\0\1" + bytes(4) + udp_segment(b"x")), 68),
        (tagged(ipv4(17, udp_segment(b"x"))), 44),
    ],
)
def test_a_frame_is_the_same_with_and_without_its_checksum(frame: bytes, at: int) -> None:
    assert on_link(changed(frame, at, b"\xab\xcd")) == on_link(frame)
    assert on_link(changed(frame, at - 1, b"\xab")) != on_link(frame)


def test_the_data_of_a_later_fragment_is_no_checksum() -> None:
    for frame, at in (
        (ipv4(17, bytes(20), fragment=185), 40),
        (ipv6(44, b"\x11\0\5\xa8" + bytes(4) + bytes(20)), 68),
    ):
        assert on_link(changed(frame, at, b"\xab\xcd")) != on_link(frame)


def test_on_a_link_the_hop_limit_and_the_addresses_count() -> None:
    frame = ipv4(17, udp_segment(b"x"))

    assert on_link(changed(frame, 22, b"\x3f")) != on_link(frame)
    assert on_link(changed(frame, 5, b"\x3f")) != on_link(frame)


@pytest.mark.parametrize(
    ("frame", "hop_limit_at"),
    [(ipv4(17, udp_segment(b"x")), 22), (ipv6(17, udp_segment(b"x")), 21)],
)
def test_a_forwarded_packet_is_the_same(frame: bytes, hop_limit_at: int) -> None:
    forwarded = changed(changed(frame, 0, bytes(range(12))), hop_limit_at, b"\x3f")

    assert on_path(forwarded) == on_path(frame) == on_path(tagged(frame))
    assert on_path(changed(forwarded, len(frame) - 1, b"y")) != on_path(frame)


def test_what_is_no_ip_packet_is_not_forwarded() -> None:
    assert on_path(arp(1, "10.0.1.1", "10.0.1.2")) == b""
    assert on_path(ethernet(0x0800, b"\x60")) == b""


def test_a_frame_cut_anywhere_has_an_identity() -> None:
    for frame in (ipv4(6, tcp_segment(2)), ipv6(0, b"\x2c\0" + bytes(6) + b"\x11" + bytes(7))):
        for length in range(len(frame)):
            assert len(on_link(frame[:length])) == length
            assert len(on_path(frame[:length])) <= length
