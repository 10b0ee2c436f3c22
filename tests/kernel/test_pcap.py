from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.errors import LabError
from labctl.kernel import pcap
from labctl.kernel.pcap import compile_filter
from tests.packets.frames import arp, echo, ethernet, ipv4, ipv6, tcp_segment, udp, udp_segment

SYN, SYN_ACK, ACK = (ipv4(6, tcp_segment(flags)) for flags in (0x02, 0x12, 0x10))


@pytest.mark.parametrize(
    ("text", "matching", "other"),
    [
        ("udp port 8080", [udp(), ipv6(17, udp_segment())], [udp(target=53), echo(), SYN]),
        ("icmp", [echo()], [udp(), ipv6(58, b"\x80" + bytes(7))]),
        ("icmp6", [ipv6(58, b"\x80" + bytes(7))], [echo()]),
        ("arp", [arp(1, "10.0.0.1", "10.0.0.2")], [udp()]),
        ("tcp[tcpflags] & tcp-syn != 0", [SYN, SYN_ACK], [ACK, udp()]),
        ("src host 10.0.2.2 and not icmp", [udp(), SYN], [echo()]),
        ("udp[8:4] = 0x61626364", [udp(b"abcd")], [udp(b"abce"), udp(b"abc"), udp()]),
        ("len >= 100", [udp(bytes(58))], [udp(bytes(57))]),
        ("vlan 3 and udp", [ethernet(0x8100, b"\0\3" + udp()[12:])], [udp()]),
        ("ip6 protochain 17", [ipv6(0, b"\x11\0" + bytes(6) + udp_segment())], [udp()]),
        ("udp[8] / udp[9] = 2", [udp(b"\4\2")], [udp(b"\4\0"), udp(b"\6\2")]),
    ],
)
def test_a_filter_matches_what_tcpdump_would_show(
    text: str, matching: list[bytes], other: list[bytes]
) -> None:
    matches = compile_filter(text)

    assert [matches(frame) for frame in matching + other] == [True] * len(matching) + [False] * len(
        other
    )


def test_a_frame_that_is_too_short_does_not_match() -> None:
    matches = compile_filter("udp port 8080")
    frame = udp()

    assert matches(frame[:38])
    assert not any(matches(frame[:length]) for length in range(37))


def test_filters_do_not_disturb_each_other() -> None:
    filters = [compile_filter(f"udp port {port}") for port in range(1, 200)]

    assert [matches(udp(target=80)) for matches in filters].index(True) == 79


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("udp prt 80", "syntax error"),
        ("udpp port 80", "syntax error"),
        ("(udp", "syntax error"),
        ("port 99999", "illegal port number 99999 > 65535"),
        ("wlan host 1", "illegal link layer address"),
        ("udp\0and", "it may have plain ASCII letters only"),
        ("üdp", "it may have plain ASCII letters only"),
        ("udp" + " or udp" * 300, "it is over 2000 letters"),
    ],
)
def test_a_filter_that_does_not_parse_is_refused_in_the_words_of_libpcap(
    text: str, said: str
) -> None:
    with pytest.raises(LabError) as raised:
        compile_filter(text, where="rules.yaml:3")

    error = raised.value
    assert error.problem.startswith('the filter "')
    assert error.problem.endswith(f" cannot be understood: {said}")
    assert (error.where, error.exit_code) == ("rules.yaml:3", 2)
    assert "man pcap-filter" in error.hint


@pytest.fixture
def no_libpcap(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(pcap, "_NAMES", ("libpcap.so.missing",))
    pcap._library.cache_clear()
    yield
    pcap._library.cache_clear()


@pytest.mark.usefixtures("no_libpcap")
def test_without_libpcap_the_package_to_install_is_named() -> None:
    with pytest.raises(LabError) as raised:
        compile_filter("udp")

    assert raised.value.problem.startswith("libpcap is not installed")
    assert raised.value.hint == "sudo apt-get install libpcap0.8"
    assert raised.value.exit_code == 3


# No names of hosts are among them: those would be asked of the machine's name server.
WORDS = st.sampled_from(
    [
        "udp",
        "tcp",
        "icmp",
        "ip6",
        "port",
        "portrange",
        "80",
        "1-9",
        "(",
        ")",
        "and",
        "or",
        "not",
        "len",
        ">",
        "<",
        "=",
        "!=",
        "&",
        "[",
        "]",
        ":",
        "0",
        "4",
        "host",
        "net",
        "10.0.2.2",
        "10.0.0.0/8",
        "fd00::1",
        "ether",
        "proto",
        "vlan",
        "mpls",
        "greater",
        "less",
        "broadcast",
        "dst",
        "src",
        "1/0",
        "-",
    ]
)


@pytest.mark.slow
@settings(max_examples=1000, derandomize=True, deadline=None, database=None)
@given(st.lists(WORDS, max_size=10).map(" ".join), st.binary(max_size=80))
def test_any_words_are_a_filter_or_a_problem(text: str, frame: bytes) -> None:
    try:
        matches = compile_filter(text)
    except LabError as error:
        refused = error
    else:
        assert matches(udp() + frame) in (True, False)
        assert matches(frame) in (True, False)
        return
    assert refused.exit_code == 2
    assert refused.problem.isprintable()
