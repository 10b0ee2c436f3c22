"""ICMP echo messages as bytes."""

import struct

import pytest

from labctl.observe.echo import Answer, checksum, echo_request, parse_answer

IPV4_HEADER = bytes.fromhex("4500001c000000004001000000000000") + bytes(4)


def test_the_checksum_of_rfc_1071() -> None:
    # The worked example of RFC 1071, section 3: the sum is ddf2.
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2


def test_an_odd_byte_counts_as_if_a_zero_followed() -> None:
    assert checksum(b"\x12\x34\x56") == checksum(b"\x12\x34\x56\x00")


def test_a_request_has_a_checksum_that_sums_to_zero() -> None:
    assert checksum(echo_request(0x1234, 7, ipv6=False)) == 0


def test_an_ipv6_request_leaves_the_checksum_to_the_kernel() -> None:
    assert echo_request(0x1234, 7, ipv6=True) == bytes.fromhex("8000000012340007")


@pytest.mark.parametrize("ipv6", [False, True])
def test_a_reply_is_known_by_its_identifier(ipv6: bool) -> None:
    reply = struct.pack("!BBHHH", 129 if ipv6 else 0, 0, 0, 0x1234, 7)
    packet = reply if ipv6 else IPV4_HEADER + reply
    assert parse_answer(packet, 0x1234, ipv6=ipv6) == Answer(7, "")
    assert parse_answer(packet, 0x9999, ipv6=ipv6) is None


def test_a_request_of_somebody_else_is_no_answer() -> None:
    assert (
        parse_answer(IPV4_HEADER + echo_request(0x1234, 7, ipv6=False), 0x1234, ipv6=False) is None
    )


def test_an_unreachable_message_is_matched_by_the_request_inside() -> None:
    inner = IPV4_HEADER + echo_request(0x1234, 7, ipv6=False)
    message = struct.pack("!BBHI", 3, 1, 0, 0) + inner
    assert parse_answer(IPV4_HEADER + message, 0x1234, ipv6=False) == Answer(7, "host unreachable")


def test_an_ipv6_error_is_matched_too() -> None:
    message = struct.pack("!BBHI", 1, 3, 0, 0) + bytes(40) + echo_request(0x1234, 7, ipv6=True)
    assert parse_answer(message, 0x1234, ipv6=True) == Answer(7, "address unreachable")


@pytest.mark.parametrize("length", range(len(IPV4_HEADER) + 8 + 28))
def test_a_packet_cut_short_is_no_answer(length: int) -> None:
    inner = IPV4_HEADER + echo_request(0x1234, 7, ipv6=False)
    whole = IPV4_HEADER + struct.pack("!BBHI", 3, 1, 0, 0) + inner
    assert parse_answer(whole[:length], 0x1234, ipv6=False) is None
