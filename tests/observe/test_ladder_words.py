import pytest

from labctl.observe.ladder_words import Speaker, Words, conversation_of, is_housekeeping, said
from labctl.packets.parse import Packet, parse_frame
from tests.observe.scenes import arp, ethernet, ipv4, tcp, udp


def packet(inside: bytes) -> Packet:
    return parse_frame(ethernet("client", "server", inside))


def there(flags: str, payload: bytes = b"", *, seq: int, ack: int = 0, window: int = 9) -> Packet:
    return packet(tcp("client", "server", flags, payload, seq=seq, ack=ack, window=window))


def back(flags: str, payload: bytes = b"", *, seq: int, ack: int = 0, window: int = 9) -> Packet:
    return packet(
        tcp("server", "client", flags, payload, seq=seq, ack=ack, window=window, ports=(80, 4000))
    )


def notes(*packets: Packet) -> list[tuple[str, str]]:
    speaker = Speaker()
    return [speaker.words(each)[:2] for each in packets]


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"hi", '2 bytes "hi"'),
        (b"", "0 bytes"),
        (b"x", '1 byte "x"'),
        (b'say "hi"\r\n\t\\', '12 bytes "say \\"hi\\"\\r\\n\\t\\\\"'),
        ("zażółć".encode(), '10 bytes "zażółć"'),
        (b"a" * 24, f'24 bytes "{"a" * 24}"'),
        (b"a" * 25, f'25 bytes "{"a" * 24}…"'),
        (b"a" * 99 + "ż".encode() * 50, f'199 bytes "{"a" * 24}…"'),
        (b"TM\x01\x02", "4 bytes 544d0102"),
        (b"TM\x01\x02\x03", "5 bytes 544d0102…"),
        (b"\xff\xfeAB", "4 bytes fffe4142"),
        (b"\x1b[2J", "4 bytes 1b5b324a"),
        ("\u202eabc".encode(), "6 bytes e280ae61…"),
        ("漢字".encode(), "6 bytes e6bca2e5…"),
        ("e\u0301".encode(), "3 bytes 65cc81"),
    ],
)
def test_what_a_program_sent_is_shown_without_harm_to_the_terminal(
    payload: bytes, text: str
) -> None:
    assert said(payload) == text


def test_a_letter_cut_by_the_limit_is_still_text() -> None:
    assert said("漢".encode()[:2] + b"x") == "3 bytes e6bc78"
    for shift in range(4):
        assert said(b"a" * shift + "ż".encode() * 200).endswith('ż…"')


def test_tcp_is_told_by_its_flags_and_by_numbers_from_its_start() -> None:
    assert notes(
        there("S", seq=2**32 - 1),
        back("SA", seq=5000, ack=0),
        there("A", seq=0, ack=5001),
        there("PA", b"hi", seq=0, ack=5001),
        back("A", seq=5001, ack=2),
        there("PA", b"there", seq=2, ack=5001),
        back("FA", seq=5001, ack=7),
        there("FPA", b"!", seq=7, ack=5002),
    ) == [
        ("SYN", ""),
        ("SYN, ACK", ""),
        ("ACK 1", ""),
        ('2 bytes "hi"', ""),
        ("ACK 3", ""),
        ('seq 3: 5 bytes "there"', ""),
        ("FIN, ACK", ""),
        ('seq 8: 1 byte "!", FIN', ""),
    ]


def test_what_was_sent_before_is_a_retransmission() -> None:
    assert notes(
        there("S", seq=9),
        there("S", seq=9),
        there("A", b"ab", seq=10),
        there("A", b"ab", seq=10),
        there("A", b"abc", seq=10),
        there("FA", seq=13),
        there("FA", seq=13),
    ) == [
        ("SYN", ""),
        ("SYN", "retransmission"),
        ('2 bytes "ab"', ""),
        ('2 bytes "ab"', "retransmission"),
        ('3 bytes "abc"', "retransmission in part"),
        ("FIN, ACK", ""),
        ("FIN, ACK", "retransmission"),
    ]


def test_a_connection_whose_start_was_not_seen_counts_from_its_first_byte() -> None:
    assert notes(
        there("A", b"ab", seq=777, ack=50),
        back("A", b"cd", seq=50, ack=779),
        there("A", seq=779, ack=52),
    ) == [('2 bytes "ab"', ""), ('2 bytes "cd"', ""), ("ACK 3", "")]


def test_a_new_connection_from_the_same_port_counts_anew() -> None:
    assert notes(
        there("S", seq=100),
        back("SA", seq=5, ack=101),
        there("S", seq=9000),
        back("SA", seq=70, ack=9001),
        there("A", b"x", seq=9001, ack=71),
    )[2:] == [("SYN", ""), ("SYN, ACK", ""), ('1 byte "x"', "")]


def test_a_full_receiver_and_the_question_whether_it_still_is() -> None:
    start = [there("S", seq=100), back("SA", seq=5, ack=101), there("A", b"x", seq=101, ack=6)]

    assert notes(*start, back("A", seq=6, ack=102, window=0), there("A", seq=101, ack=6))[3:] == [
        ("ACK 2, window 0", ""),
        ("ACK 1", "window probe"),
    ]
    assert notes(*start, back("A", seq=6, ack=102), there("A", seq=101, ack=6))[-1] == (
        "ACK 1",
        "keep-alive",
    )


def test_a_reset_is_told_as_such_whatever_its_numbers_are() -> None:
    assert notes(there("S", seq=100), back("RA", seq=0, ack=101), there("R", seq=100)) == [
        ("SYN", ""),
        ("RST, ACK", ""),
        ("RST", ""),
    ]


def test_icmp_is_told_without_the_number_of_the_ping() -> None:
    request = packet(ipv4("client", "server", 1, bytes.fromhex("0800000000090003")))
    unreachable = packet(
        ipv4("server", "client", 1, b"\x03\x03" + bytes(6) + udp("client", "server", b"x"))
    )
    of_icmp = packet(
        ipv4("server", "client", 1, b"\x03\x01" + bytes(6) + ipv4("client", "server", 1, bytes(8)))
    )

    assert Speaker().words(request) == Words("ICMP echo request seq 3")
    assert Speaker().words(unreachable) == Words("ICMP port unreachable (udp 8080)", is_end=True)
    assert Speaker().words(of_icmp).label == "ICMP host unreachable"


def test_what_is_none_of_these_is_named() -> None:
    assert Speaker().words(packet(ipv4("client", "server", 253, b"x"))).label == (
        "protocol 253 1 byte"
    )
    tagged = ethernet("client", "server", b"\0\x05\x08\0" + udp("client", "server", b"x"), 0x8100)
    assert Speaker().words(parse_frame(tagged)).label == 'VLAN 5, 1 byte "x"'


def test_fragments_are_told_as_such() -> None:
    def fragment(field: int) -> Packet:
        whole = bytearray(udp("client", "server", b"hello"))
        whole[6:8] = field.to_bytes(2, "big")
        return packet(bytes(whole))

    assert Speaker().words(fragment(0x2000)).label == '5 bytes "hello", first fragment'
    assert Speaker().words(fragment(0x00B9)).label == "UDP fragment at 1480, 13 bytes"


def test_both_directions_are_one_conversation() -> None:
    one, other = there("S", seq=1), back("SA", seq=1)

    assert conversation_of(one) == conversation_of(other) != ()
    assert conversation_of(packet(udp("client", "server", b"", ports=(4000, 80)))) != (
        conversation_of(one)
    )
    assert conversation_of(packet(ipv4("client", "server", 1, bytes(8)))) == ()


def test_how_nodes_find_each_other_is_housekeeping() -> None:
    def icmpv6(kind: int) -> Packet:
        ends = bytes(15) + b"\1" + bytes(15) + b"\2"
        head = b"\x60\0\0\0\0\x18\x3a\xff"
        message = bytes([kind]) + bytes(23)
        return parse_frame(ethernet("client", "server", head + ends + message, kind=0x86DD))

    assert is_housekeeping(parse_frame(arp("client")))
    assert [kind for kind in range(256) if is_housekeeping(icmpv6(kind))] == [
        *range(130, 137),
        143,
    ]
    assert not is_housekeeping(packet(udp("client", "server", b"")))
