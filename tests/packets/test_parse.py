import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.packets.parse import Packet, Tcp, parse_frame
from tests.packets.frames import (
    arp,
    echo,
    ethernet,
    ipv4,
    ipv6,
    tcp_segment,
    udp,
    udp_segment,
)

WHOLE = [
    udp(b"sixteen bytes !!"),
    echo(),
    arp(1, "10.0.1.1", "10.0.1.2"),
    ipv4(6, tcp_segment(0x12, b"hi")),
    ipv4(1, b"\x03\x03" + bytes(6) + udp(b"x")[14:]),
    ipv6(17, udp_segment(b"hi")),
    ipv6(0, b"\x11\0" + bytes(6) + udp_segment(b"hi")),
    ipv6(44, b"\x11\0\0\x01" + bytes(4) + udp_segment(b"hi")),
    ipv6(58, b"\x01\x04" + bytes(6) + ipv6(17, udp_segment(b"x"))[14:]),
    ethernet(0x8100, b"\0\x03\x08\0" + udp(b"x")[14:]),
]


def test_a_udp_datagram_has_its_ends_and_its_payload() -> None:
    assert parse_frame(udp(b"hello")) == Packet(
        "10.0.2.2:4000", "10.0.1.1:8080", "UDP", "5 bytes", b"hello"
    )


def test_the_padding_of_a_short_frame_is_no_payload() -> None:
    assert parse_frame(udp(b"x") + bytes(17)).payload == b"x"


def test_options_of_ip_are_no_payload() -> None:
    frame = ipv4(17, udp_segment(b"x"), options=b"\x01" * 8)

    assert parse_frame(frame) == parse_frame(udp(b"x"))


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (0x02, "SYN seq 5 win 65535"),
        (0x12, "SYN, ACK seq 5 ack 6 win 65535"),
        (0x11, "FIN, ACK seq 5 ack 6 win 65535"),
        (0x04, "RST seq 5 win 65535"),
        (0x18, "PSH, ACK seq 5 ack 6 win 65535"),
        (0x00, "no flags seq 5 win 65535"),
        (0xFF, "SYN, FIN, RST, PSH, ACK, URG, ECE, CWR seq 5 ack 6 win 65535"),
    ],
)
def test_a_tcp_segment_tells_its_flags_and_numbers(flags: int, text: str) -> None:
    assert parse_frame(ipv4(6, tcp_segment(flags, seq=5, ack=6))).text == text


def test_a_tcp_segment_has_its_numbers() -> None:
    packet = parse_frame(ipv4(6, tcp_segment(0x12, seq=5, ack=6)))

    assert packet.tcp == Tcp(frozenset({"SYN", "ACK"}), 5, 6, 65535)
    assert parse_frame(udp(b"x")).tcp is None


def test_a_tcp_segment_tells_its_payload_without_its_options() -> None:
    with_options = bytearray(tcp_segment(0x18, bytes(12) + b"hi"))
    with_options[12] = 8 << 4
    packet = parse_frame(ipv4(6, bytes(with_options)))

    assert packet.payload == b"hi"
    assert packet.text.endswith(", 2 bytes")


def test_ipv6_addresses_stand_in_brackets_before_a_port() -> None:
    packet = parse_frame(ipv6(17, udp_segment(b"hi")))

    assert packet == Packet("[fd00::2]:4000", "[fd00::1]:8080", "UDP", "2 bytes", b"hi")


def test_extension_headers_of_ipv6_are_passed_over() -> None:
    options = b"\x3c\0" + bytes(6) + b"\x11\x01" + bytes(14)

    assert parse_frame(ipv6(0, options + udp_segment(b"hi"))).payload == b"hi"


def test_fragments_say_so() -> None:
    first = parse_frame(ipv4(17, udp_segment(bytes(1472)), fragment=0x2000))
    later = parse_frame(ipv4(17, bytes(20), fragment=185))
    of_ipv6 = parse_frame(ipv6(44, struct.pack("!BBHI", 17, 0, 1448, 1) + bytes(10)))

    assert first.text == "1472 bytes, first fragment"
    assert (later.source, later.text) == ("10.0.2.2", "fragment at 1480, 20 bytes")
    assert (of_ipv6.protocol, of_ipv6.text) == ("UDP", "fragment at 1448, 10 bytes")


def test_an_error_names_the_packet_it_is_about() -> None:
    error = parse_frame(ipv4(1, b"\x03\x03" + bytes(6) + udp(b"x")[14:42]))

    assert error.text == "port unreachable, of 10.0.2.2:4000 > 10.0.1.1:8080 UDP"


def test_an_error_about_an_error_does_not_go_on_for_ever() -> None:
    message = b"\x03\x01" + bytes(6)
    for _ in range(50):
        message = b"\x03\x01" + bytes(6) + ipv4(1, message)[14:]

    assert parse_frame(ipv4(1, message)).text == (
        "host unreachable, of 10.0.2.2 > 10.0.1.1 ICMP host unreachable"
    )


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (arp(1, "10.0.1.1", "10.0.1.2"), "who has 10.0.1.2, tell 10.0.1.1"),
        (arp(2, "10.0.1.2", "10.0.1.1"), "10.0.1.2 is at 02:00:00:00:00:02"),
        (arp(1, "10.0.1.1", "10.0.1.1"), "10.0.1.1 announces itself"),
        (arp(8, "10.0.1.1", "10.0.1.2"), "operation 8"),
        (ethernet(0x0806, b"\0\x06"), "of another kind, 2 bytes"),
    ],
)
def test_arp_messages_say_what_they_ask(frame: bytes, text: str) -> None:
    packet = parse_frame(frame)

    assert (packet.protocol, packet.text) == ("ARP", text)


def test_a_vlan_tag_is_told_and_what_is_in_it_too() -> None:
    packet = parse_frame(ethernet(0x8100, b"\xe0\x03\x08\0" + udp(b"x")[14:]))

    assert packet == parse_frame(udp(b"x"))._replace(vlan=3)


def test_what_is_not_known_is_named_by_its_number() -> None:
    assert parse_frame(ethernet(0x88CC, bytes(5))).protocol == "ethertype 0x88cc"
    assert parse_frame(ethernet(38, bytes(38))).protocol == "802.3"
    assert parse_frame(ipv4(253, b"x"))[2:4] == ("protocol 253", "1 byte")


@pytest.mark.parametrize("frame", WHOLE)
def test_a_frame_cut_anywhere_is_still_told(frame: bytes) -> None:
    for length in range(len(frame)):
        assert parse_frame(frame[:length]).text
    assert parse_frame(frame[:13]).text == "cut short, 13 bytes"
    assert parse_frame(frame[:18]).text.endswith(("cut short, 4 bytes", "4 bytes", "0 bytes"))


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """Return a whole frame with some bytes changed."""
    frame = bytearray(draw(st.sampled_from(WHOLE)))
    for _ in range(draw(st.integers(1, 6))):
        frame[draw(st.integers(12, len(frame) - 1))] = draw(st.integers(0, 255))
    return bytes(frame[: draw(st.integers(0, len(frame)))]) + draw(st.binary(max_size=8))


@pytest.mark.slow
@settings(max_examples=2000, derandomize=True, deadline=None, database=None)
@given(mangled() | st.binary(max_size=120))
def test_any_bytes_are_told_in_printable_words(frame: bytes) -> None:
    packet = parse_frame(frame)

    assert all(word and word.isprintable() for word in packet[:4])
    assert packet.payload in frame
