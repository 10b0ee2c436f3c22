import struct
from ipaddress import IPv6Address

import pytest

from labctl.packets.icmp import describe, is_error


def message(kind: int, code: int = 0, rest: bytes = bytes(4)) -> bytes:
    return struct.pack("!BBH", kind, code, 0) + rest


@pytest.mark.parametrize(
    ("kind", "code", "text"),
    [
        (8, 0, "echo request id 5 seq 6"),
        (0, 0, "echo reply id 5 seq 6"),
        (3, 3, "port unreachable"),
        (3, 13, "filtered"),
        (3, 99, "unreachable (code 99)"),
        (11, 0, "time exceeded"),
        (200, 7, "type 200 code 7"),
    ],
)
def test_icmp_in_words(kind: int, code: int, text: str) -> None:
    assert describe(message(kind, code, b"\0\5\0\6"), is_ipv6=False) == text


@pytest.mark.parametrize(
    ("kind", "code", "text"),
    [
        (128, 0, "echo request id 5 seq 6"),
        (129, 0, "echo reply id 5 seq 6"),
        (1, 4, "port unreachable"),
        (2, 0, "packet too big"),
        (3, 0, "time exceeded"),
        (133, 0, "router solicitation"),
        (8, 0, "type 8 code 0"),
    ],
)
def test_icmpv6_in_words(kind: int, code: int, text: str) -> None:
    assert describe(message(kind, code, b"\0\5\0\6"), is_ipv6=True) == text


def test_neighbour_discovery_names_the_address() -> None:
    target = bytes(4) + IPv6Address("fd00::1").packed

    assert describe(message(135, 0, target), is_ipv6=True) == ("neighbour solicitation for fd00::1")
    assert describe(message(136, 0, target), is_ipv6=True) == ("neighbour advertisement of fd00::1")
    assert describe(message(135), is_ipv6=True) == "type 135 code 0"


def test_only_errors_carry_a_packet() -> None:
    assert [is_error(kind, is_ipv6=False) for kind in (0, 3, 8, 11)] == [False, True, False, True]
    assert [is_error(kind, is_ipv6=True) for kind in (1, 3, 128, 135)] == [True, True, False, False]
