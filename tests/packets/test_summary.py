from labctl.packets.summary import summary
from tests.packets.frames import arp, echo, ethernet, ipv4, tcp_segment, udp


def test_one_line_says_from_where_to_where_and_what() -> None:
    assert [summary(frame) for frame in (udp(bytes(16)), echo(seq=3), ipv4(6, tcp_segment(2)))] == [
        "10.0.2.2:4000 > 10.0.1.1:8080 UDP 16 bytes",
        "10.0.2.2 > 10.0.1.1 ICMP echo request id 9 seq 3",
        "10.0.2.2:4000 > 10.0.1.1:80 TCP SYN seq 1 win 65535",
    ]


def test_what_has_no_address_of_ip_has_that_of_ethernet() -> None:
    assert summary(arp(1, "10.0.1.1", "10.0.1.2")) == (
        "02:00:00:00:00:02 > 02:00:00:00:00:01 ARP who has 10.0.1.2, tell 10.0.1.1"
    )


def test_a_vlan_comes_first() -> None:
    frame = ethernet(0x8100, b"\0\x03\x08\0" + udp(b"x")[14:])

    assert summary(frame) == "VLAN 3, 10.0.2.2:4000 > 10.0.1.1:8080 UDP 1 byte"


def test_an_empty_frame_has_a_line_too() -> None:
    assert summary(b"") == "? > ? Ethernet cut short, 0 bytes"
