"""Checks of cksum. The contract is in README.md."""

import random
import socket

import pytest
from cksum_kernel import counter, sender
from cksum_packets import (
    DONT_FRAGMENT,
    FIELD,
    ICMP,
    ICMPV6,
    IPV4,
    IPV6,
    MORE_FRAGMENTS,
    NAMES,
    TCP,
    UDP,
    Ends,
    checksum,
    data_of,
    of_sum_zero,
    packet,
    with_field,
)

from labctl.testing import WITHIN_S, Lab, Program, Submission, expect_equal, unmet, until

PORT = 7777
FILL = "the checksum fields count as zero while the sum is taken; big endian"


def start(submission: Submission) -> Program:
    return submission.start("client1", "inet_cksum", ready=False)


def expect_answer(program: Program, command: str, wanted: str, what: str, hint: str) -> None:
    expect_equal(program.ask(command, hint=hint), wanted, what, hint)


def expect_filled(program: Program, right: bytes, given: bytes, what: str, hint: str) -> None:
    """Let the program fill in a packet, and compare all of it."""
    answer = program.ask(f"fill {given.hex()}", hint=hint).lower()
    shown = f"what `fill` makes of {what} ({given.hex()})"
    expect_equal(answer, right.hex(), shown, hint)


@pytest.mark.points(2)
def test_the_sum_of_any_bytes(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """`sum` is the checksum of RFC 1071, for any number of bytes"""
    program = start(submission)
    cases = {
        "the bytes of RFC 1071": bytes.fromhex("0001f203f4f5f6f7"),
        "no bytes": b"",
        "four zeros": bytes(4),
        "ffff": b"\xff\xff",
        "one byte": b"\x45",
        "three bytes": b"\x01\x02\x03",
        "ff00, then ffff": b"\xff\x00\xff\xff",
        # Their sum is 0x1ffff: folded once it is 0x10000.
        "ffff, ffff and 0001": b"\xff\xff\xff\xff\x00\x01",
        "60000 bytes ff": b"\xff" * 60000,
        "1471 random bytes": rng.randbytes(1471),
        "1472 random bytes": rng.randbytes(1472),
    }
    for what, data in cases.items():
        hint = (
            "16-bit words, big endian, a last odd byte as the high half of a word; what is carried "
            "out of 16 bits is added at the low end, until nothing is carried; then all bits inverted"
        )
        expect_answer(
            program, f"sum {data.hex()}", f"{checksum(data):04x}", f"the sum of {what}", hint
        )
    program.end_input()
    program.expect_exit(0, hint="at the end of the input the program ends")


@pytest.mark.needs("test_the_sum_of_any_bytes")
@pytest.mark.points(1)
def test_the_header_is_filled_in(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """an IPv4 header gets its checksum, and its checksum is judged"""
    program = start(submission)
    for options in (b"", b"\x01" * 4, rng.randbytes(40)):
        # A protocol that has no checksum that we know of.
        data = rng.randbytes(24)
        right = packet(IPV4, UDP, data, options=options, data_field=0)
        right = with_field(right[:9] + b"\xfd" + right[10:], 10, 0)
        size = 20 + len(options)
        right = with_field(right, 10, checksum(right[:size]))
        what = f"a header of {size} bytes"
        for old in (0, 0xBEEF, 0xFFFF):
            hint = "the header is 4 * (first byte & 15) bytes long; " + FILL
            expect_filled(program, right, with_field(right, 10, old), what, hint)
        hint = "the sum of a header with its right checksum in it is 0"
        expect_answer(
            program, f"check {right.hex()}", "header=ok data=-", f"`check` of {what}", hint
        )
        wrong = bytearray(right)
        wrong[rng.choice([1, 4, 5, 8, 12, 19])] ^= 1 << rng.randrange(8)
        expect_answer(
            program,
            f"check {wrong.hex()}",
            "header=bad data=-",
            f"`check` of {what} with a wrong bit ({wrong.hex()})",
            hint,
        )


DATA = (
    "UDP and TCP: as if source, destination, a zero byte, the protocol and the length of the UDP or "
    "TCP part (u16) stood before it; ICMP: the message alone"
)


@pytest.mark.needs("test_the_header_is_filled_in")
@pytest.mark.points(2)
@pytest.mark.parametrize("protocol", [UDP, TCP, ICMP], ids=NAMES.get)
def test_the_data_is_filled_in(
    lab: Lab, submission: Submission, rng: random.Random, protocol: int
) -> None:
    """the data of UDP, TCP and ICMP gets its checksum, and that is judged"""
    program = start(submission)
    for length in (0, 1, 18, 33, 1401):
        ends = Ends(*(socket.inet_ntoa(rng.randbytes(4)) for _ in range(2)))
        options = b"\x01" * rng.choice([0, 4, 20])
        data = data_of(protocol, rng.randbytes(length))
        right = packet(ends, protocol, data, options=options)
        old = rng.choice([0, rng.randrange(1, 0xFFFF)])
        given = packet(ends, protocol, data, options=options, data_field=old, header_sum=0)
        what = f"{NAMES[protocol]} with {length} bytes"
        expect_filled(program, right, given, what, f"{DATA}; {FILL}")
        hint = "with the right checksum in it, the sum is 0"
        expect_answer(
            program, f"check {right.hex()}", "header=ok data=ok", f"`check` of {what}", hint
        )
        wrong = bytearray(right)
        wrong[20 + len(options)] ^= 1 << rng.randrange(8)  # in the data's first byte
        expect_answer(
            program,
            f"check {wrong.hex()}",
            "header=ok data=bad",
            f"`check` of {what}, one bit wrong",
            hint,
        )


@pytest.mark.needs("test_the_data_is_filled_in")
@pytest.mark.points(1)
def test_what_is_not_summed(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """padding is not summed, nor is the data of a fragment"""
    program = start(submission)
    data = data_of(UDP, rng.randbytes(5))
    padding = rng.randbytes(13)
    right = packet(IPV4, UDP, data)
    hint = "the packet's total length says where it ends; what comes after is returned as it came"
    given = packet(IPV4, UDP, data, data_field=0, header_sum=0) + padding
    expect_filled(program, right + padding, given, "a packet with padding after it", hint)
    command = f"check {(right + padding).hex()}"
    expect_answer(program, command, "header=ok data=ok", "`check` of a packet with padding", hint)

    hint = (
        "the checksum is over the whole datagram, and a fragment is not all of it: more fragments "
        "(0x2000) or an offset (0x1fff) in bytes 6 and 7; don't fragment (0x4000) makes none"
    )
    # The UDP header of a first fragment has the length of all, and a last one may have few bytes.
    fragments = {
        MORE_FRAGMENTS: with_field(data, 4, len(data) + 1480),
        MORE_FRAGMENTS | 185: data,
        370: rng.randbytes(3),
    }
    for fragment, part in fragments.items():
        right = packet(IPV4, UDP, part, fragment=fragment, data_field=0xABCD)
        given = with_field(right, 10, 0)
        expect_filled(program, right, given, f"a fragment ({fragment:#06x})", hint)
        expect_answer(
            program, f"check {right.hex()}", "header=ok data=-", "`check` of a fragment", hint
        )
    right = packet(IPV4, UDP, data, fragment=DONT_FRAGMENT)
    expect_answer(
        program, f"check {right.hex()}", "header=ok data=ok", "`check` of no fragment", hint
    )


@pytest.mark.needs("test_the_data_is_filled_in")
@pytest.mark.points(1)
def test_udp_has_no_sum_of_zero(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """a UDP checksum of zero says that there is none, so a sum of zero is sent as ffff"""
    program = start(submission)
    data = of_sum_zero(IPV4, UDP, rng)
    given = packet(IPV4, UDP, data, data_field=0, header_sum=0)
    hint = "UDP alone: where the sum comes out as 0, the field gets 0xffff, the other zero"
    expect_filled(program, packet(IPV4, UDP, data), given, "UDP whose sum is zero", hint)
    right = packet(IPV4, UDP, data)
    expect_answer(program, f"check {right.hex()}", "header=ok data=ok", "`check` of it", hint)

    without = packet(IPV4, UDP, data_of(UDP, rng.randbytes(9)), data_field=0)
    hint = "a field of 0 is no wrong sum: its sender has not taken one"
    expect_answer(
        program, f"check {without.hex()}", "header=ok data=none", "`check` of UDP with 0", hint
    )
    tcp = packet(IPV4, TCP, data_of(TCP, rng.randbytes(8)), data_field=0)
    hint = "in TCP and ICMP 0 is a number like any other"
    expect_answer(
        program, f"check {tcp.hex()}", "header=ok data=bad", "`check` of TCP with 0", hint
    )
    for protocol in (TCP, ICMP):
        right = packet(IPV4, protocol, of_sum_zero(IPV4, protocol, rng))
        given = with_field(right, 20 + FIELD[protocol], 0xBEEF)
        expect_filled(program, right, given, f"{NAMES[protocol]} whose sum is zero", hint)


@pytest.mark.needs("test_the_data_is_filled_in")
@pytest.mark.points(1)
@pytest.mark.parametrize("protocol", [UDP, TCP, ICMPV6], ids=NAMES.get)
def test_ipv6(lab: Lab, submission: Submission, rng: random.Random, protocol: int) -> None:
    """in IPv6 the addresses are in each checksum, and UDP has to have one"""
    program = start(submission)
    hint = (
        "the pseudo header of IPv6, for ICMPv6 too: source, destination, length (u32), three zero "
        "bytes, next header; there is no header checksum"
    )
    for length in (0, 7, 1232):
        data = data_of(protocol, rng.randbytes(length))
        right = packet(IPV6, protocol, data)
        given = packet(IPV6, protocol, data, data_field=rng.randrange(0xFFFF))
        what = f"{NAMES[protocol]} over IPv6 with {length} bytes"
        expect_filled(program, right, given, what, hint)
        expect_answer(
            program, f"check {right.hex()}", "header=- data=ok", f"`check` of {what}", hint
        )
        padding = rng.randbytes(5)
        expect_filled(program, right + padding, given + padding, f"{what} and padding", hint)
        wrong = bytearray(right)
        wrong[23] ^= 1  # of the source address
        expect_answer(
            program,
            f"check {wrong.hex()}",
            "header=- data=bad",
            f"`check` of {what} from elsewhere",
            hint,
        )
    if protocol == UDP:
        without = packet(IPV6, UDP, data_of(UDP, b"hi"), data_field=0)
        hint = "in IPv6 a UDP datagram without a checksum is a wrong one (RFC 8200, 8.1)"
        expect_answer(
            program, f"check {without.hex()}", "header=- data=bad", "`check` of UDP with 0", hint
        )


@pytest.mark.needs("test_udp_has_no_sum_of_zero", "test_ipv6")
@pytest.mark.points(0.5)
def test_udp_over_ipv6_has_no_sum_of_zero(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """over IPv6, too, a sum of zero is sent as ffff"""
    right = packet(IPV6, UDP, of_sum_zero(IPV6, UDP, rng))
    given = with_field(right, 40 + FIELD[UDP], 0xBEEF)
    hint = "a UDP checksum of 0 is a wrong one there, so the other zero, 0xffff, is needed as well"
    expect_filled(start(submission), right, given, "UDP whose sum is zero, over IPv6", hint)


@pytest.mark.needs("test_ipv6")
@pytest.mark.points(0.5)
def test_icmp_is_of_ipv4_and_icmpv6_of_ipv6(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """of ICMPv6 in IPv4, and of ICMP in IPv6, no checksum is known"""
    program = start(submission)
    hint = "1 is ICMP in IPv4 only, and 58 is ICMPv6 in IPv6 only"
    for ends, protocol, header in ((IPV4, ICMPV6, "ok"), (IPV6, ICMP, "-")):
        right = packet(ends, protocol, rng.randbytes(30), data_field=0xBEEF)
        what = f"protocol {protocol} over {'IPv6' if ends.is_ipv6 else 'IPv4'}"
        expect_filled(program, right, right, what, hint)
        expect_answer(
            program, f"check {right.hex()}", f"header={header} data=-", f"`check` of {what}", hint
        )


@pytest.mark.needs("test_the_sum_of_any_bytes")
@pytest.mark.points(0.5)
def test_the_longest_line(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """65535 bytes come in one line"""
    program = start(submission)
    data = rng.randbytes(65535)
    hint = "a line has two digits for each byte, so it is longer than 128 KiB: getline()"
    # Not by ask(): a failure would show the line.
    program.write(b"sum %s\n" % data.hex().encode(), hint=hint)
    said = program.line(expected="the sum of 65535 bytes", hint=hint)
    expect_equal(said, f"{checksum(data):04x}", "the sum of 65535 bytes", hint)


@pytest.mark.needs("test_the_data_is_filled_in")
@pytest.mark.points(1)
def test_what_is_no_packet(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """what is no packet, or not all of one, is refused"""
    program = start(submission)
    udp = packet(IPV4, UDP, data_of(UDP, b"0123456789"))
    tcp = packet(IPV4, TCP, data_of(TCP, b"hello"))
    cases = {
        "no bytes": b"",
        "19 bytes": udp[:19],
        "version 5": b"\x55" + udp[1:],
        "a header of 16 bytes": b"\x44" + udp[1:],
        "a header longer than the packet": b"\x4f" + udp[1:],
        "a total length shorter than the header": with_field(udp, 2, 19),
        "a packet without its last byte": tcp[:-1],
        "a UDP length that differs from the data's": with_field(udp, 24, 19),
        "a UDP header of 7 bytes": packet(IPV4, UDP, bytes(7), data_field=0),
        "an ICMP message of 7 bytes": packet(IPV4, ICMP, bytes(7)),
        "a TCP header of 19 bytes": with_field(tcp[:39], 2, 39),
        "an IPv6 header of 39 bytes": packet(IPV6, UDP, b"", data_field=0)[:39],
        "an IPv6 packet without its last byte": packet(IPV6, TCP, data_of(TCP, b""))[:-1],
    }
    hint = "every length is compared with what is there before a byte is read"
    for what, data in cases.items():
        for command in ("fill", "check"):
            text = f"{command} {data.hex()}".rstrip()
            expect_answer(
                program, text, "error: EINVAL", f"`{command}` of {what} ({data.hex()})", hint
            )
    for text in ("check 4", "sum xy", "fill", "mend 00", ""):
        expect_answer(program, text, "error: EINVAL", f'the answer to "{text}"', hint)
    expect_answer(program, "sum ffff", "0000", "`sum` after all that", "it goes on")


COUNTERS = {
    (IPV4, UDP): "UdpInCsumErrors",
    (IPV4, TCP): "TcpInCsumErrors",
    (IPV4, ICMP): "IcmpInCsumErrors",
    (IPV6, UDP): "Udp6InCsumErrors",
    (IPV6, TCP): "TcpInCsumErrors",
    (IPV6, ICMPV6): "Icmp6InCsumErrors",
}

ANSWERS = {
    (IPV4, TCP): "tcp[tcpflags] & tcp-rst != 0",
    (IPV4, ICMP): "icmp[0] == 0",
    (IPV6, TCP): "ip6[6] == 6 and ip6[53] & 4 != 0",
    (IPV6, ICMPV6): "ip6[6] == 58 and ip6[40] == 129",
}


@pytest.mark.needs("test_udp_has_no_sum_of_zero", "test_ipv6")
@pytest.mark.points(1)
@pytest.mark.parametrize("name", ["IPv4", "IPv6"])
def test_the_kernel_agrees(lab: Lab, submission: Submission, rng: random.Random, name: str) -> None:
    """a kernel that gets the packet judges it as the program does"""
    ends = IPV4 if name == "IPv4" else IPV6
    program = start(submission)
    send = sender(lab, ends)
    server = lab["server"].udp(bind=(ends.destination, PORT))
    for protocol in (UDP, TCP, ICMP if ends is IPV4 else ICMPV6):
        payload = rng.randbytes(rng.randrange(1, 60)) if protocol != TCP else b""
        data = data_of(protocol, payload, (40001, PORT))
        answer = program.ask(
            f"fill {packet(ends, protocol, data, data_field=0, header_sum=0).hex()}"
        )
        filled = bytes.fromhex(answer)
        what = f"{NAMES[protocol]} over {name}"
        before = counter(lab, COUNTERS[ends, protocol])

        wrong = filled[:-1] + bytes([filled[-1] ^ 1 << rng.randrange(8)])
        said = program.ask(f"check {wrong.hex()}")
        expect_equal(said.rpartition("=")[2], "bad", f"`check` of {what}, one bit wrong", DATA)
        send(wrong)
        send(filled)

        hint = "nstat -as says what the kernel has dropped, and why: InCsumErrors"
        if protocol == UDP:
            got = server.receive(expected=f"the kernel accepts {what} ({answer})", hint=hint)
            expect_equal(got, payload, "what arrived", hint)
        else:
            # Nobody listens: an RST. The kernel replies to an echo itself.
            match = ANSWERS[ends, protocol]
            if not has_answered(lab, match):
                unmet(f"the kernel answers {what} ({answer})", "it does not", hint)

        def dropped(name: str = COUNTERS[ends, protocol], before: int = before) -> int:
            server.waiting()  # UDP looks at a checksum when somebody reads
            return counter(lab, name) - before

        # It may be behind the other one.
        until(dropped, WITHIN_S)
        expect_equal(
            dropped(),
            1,
            f"{COUNTERS[ends, protocol]} of the server, one of two packets being wrong",
            hint,
        )


def has_answered(lab: Lab, match: str) -> bool:
    return bool(until(lambda: lab.packets(match, sent_by="server"), WITHIN_S))
