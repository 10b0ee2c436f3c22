"""Checks of pktproc. The contract is in README.md."""

import random
import struct
from collections.abc import Iterable

import pytest
from framed_layers import (
    MACS,
    Frame,
    Layer,
    arp,
    ethernet,
    file_header,
    icmp,
    ipv4,
    ipv6,
    record,
    tcp,
    udp,
)

from labctl.testing import Lab, Program, Submission, expect, expect_equal, until

MOST_BYTES = 262144
"""Of a frame in a file."""

LOOK_S = 1.0
"""How long to look for a program that waits: one that looks again and again never does."""

TABLE = "the table in README.md has the words of each header"


def start(submission: Submission) -> Program:
    program = submission.start("host", "pktproc", ready=False)
    program.write(file_header())
    return program


def expect_words(
    program: Program, number: int, data: bytes, length: int, words: str, hint: str
) -> None:
    """Give the program one frame, and compare the line that it prints about it."""
    program.write(record(data, length), hint=hint)
    wanted = f"{number} len={length} {words}"
    said = program.line(expected=f"the line `{wanted}`, before the next frame is there", hint=hint)
    shown = f"the line about the frame {data.hex()}"
    if length != len(data):
        shown += f" (of {length} bytes)"
    expect_equal(said, wanted, shown, hint)


def play(submission: Submission, frames: Iterable[Frame], hint: str) -> None:
    program = start(submission)
    for number, frame in enumerate(frames, 1):
        expect_words(program, number, frame.data, len(frame.data), frame.words(), hint)
    program.end_input()
    program.expect_exit(0, hint="at the end of the file the program ends")


@pytest.mark.points(2)
def test_ipv4(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """frames with UDP, TCP and ICMP over IPv4 are told, each as soon as it is there"""
    frames = [ipv4(17, udp(rng, size), rest=rng.randbytes(size)) for size in (18, 1400)]
    for bits in (0x02, 0x12, 0x10, 0x19, 0x04, 0x3F, 0xC2, 0):
        frames.append(ipv4(6, *tcp(rng, 30, bits), rest=rng.randbytes(30)))
    frames += [ipv4(1, icmp(8, 0), rest=rng.randbytes(60)), ipv4(1, icmp(3, 13), rest=bytes(32))]
    play(submission, frames, f"{TABLE}; numbers are big endian; flush each line")


@pytest.mark.needs("test_ipv4")
@pytest.mark.points(2)
def test_lengths_inside_the_packet(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """options, padding and fragments are seen by the lengths that the headers have"""
    rest = rng.randbytes(9)
    frames = [
        ipv4(17, udp(rng, 9), rest=rest, options=rng.randbytes(4)),
        ipv4(17, udp(rng, 9), rest=rest, options=rng.randbytes(40)),
        ipv4(6, *tcp(rng, 9, 0x18, options=12), rest=rest),
        ipv4(6, *tcp(rng, 9, 0x18, options=40), rest=rest, options=rng.randbytes(8)),
    ]
    # As short packets are sent: an Ethernet frame has 60 bytes at least.
    for short in (ipv4(6, *tcp(rng, 0, 0x10)), ipv4(17, udp(rng, 1), rest=b"!")):
        padding = rng.randbytes(60 - len(short.data))
        frames.append(short._replace(rest=short.rest + padding))
    first = udp(rng, 1472)
    frames.append(
        ipv4(17, first._replace(before="frag=0+ udp"), rest=rng.randbytes(1472), fragment=0x2000)
    )
    for fragment, words in (
        (0x2000 | 185, "frag=1480+"),
        (370, "frag=2960"),
        (0x1FFF, "frag=65528"),
    ):
        inside = Layer(b"", after=f"{words} proto=17 data=24")
        frames.append(ipv4(17, inside, rest=rng.randbytes(24), fragment=fragment))
    hint = (
        "IPv4: 4 * (first byte & 15) bytes of header, and a total length, behind which there is "
        "padding; TCP: 4 * (byte 12 >> 4); a fragment's offset is in units of 8 bytes, and only "
        "the first one has a UDP or TCP header"
    )
    play(submission, frames, hint)


@pytest.mark.needs("test_ipv4")
@pytest.mark.points(1)
def test_other_frames(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """frames with ARP, VLAN tags and other types and protocols are told"""
    inner = ipv4(17, udp(rng, 4), rest=bytes(4)).layers[1:]
    frames = [
        arp(1, "who-has 10.0.1.1 tell 10.0.1.2"),
        arp(2, f"10.0.1.2 is-at {MACS[6:].hex(':')}"),
        arp(9, "op=9"),
        ethernet(0x0800, *inner, rest=bytes(4), tags=(0x6005,)),
        ethernet(0x0800, *inner, rest=bytes(4), tags=(0x0FFE, 0xE064)),
        ethernet(0x88CC, Layer(b"", after="type=0x88cc"), rest=bytes(46)),
        ipv4(47, Layer(b"", after="proto=47 data=31"), rest=bytes(31)),
    ]
    hint = "a tag is 4 bytes: 4 bits of priority, 12 bits of number, and the type of what follows"
    play(submission, frames, hint)


@pytest.mark.needs("test_ipv4")
@pytest.mark.points(1)
def test_ipv6(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """frames with IPv6 are told, their extension headers passed over"""

    def extension(following: int, more: int) -> Layer:
        return Layer(bytes([following, more]) + rng.randbytes(6))

    def long(more: int) -> Layer:
        return Layer(rng.randbytes(8 * more))

    def fragment(following: int, offset: int, after: str = "") -> Layer:
        return Layer(struct.pack("!BBHI", following, 0, offset, 7), after=after)

    first = udp(rng, 16)
    frames = [
        ipv6(17, udp(rng, 5), rest=bytes(5)),
        ipv6(6, *tcp(rng, 0, 0x02, options=20)),
        ipv6(58, icmp(135, 0, name="icmp6"), rest=bytes(20)),
        ipv6(0, extension(58, 0), icmp(143, 0, name="icmp6"), rest=bytes(24)),
        ipv6(
            0, extension(60, 1), long(1), extension(43, 2), long(2), extension(17, 0), udp(rng, 0)
        ),
        ipv6(44, fragment(17, 1), first._replace(before="frag=0+ udp"), rest=bytes(16)),
        ipv6(44, fragment(17, 1232, "frag=1232 proto=17 data=24"), rest=bytes(24)),
        ipv6(59, Layer(b"", after="proto=59 data=0")),
    ]
    hint = (
        "hop by hop (0), routing (43) and destination options (60): next header, and how many times "
        "8 bytes follow the first 8; fragment (44): 8 bytes; any number of them"
    )
    play(submission, frames, hint)


@pytest.mark.needs("test_ipv6")
@pytest.mark.points(1)
def test_a_fragment_that_is_all(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """a fragment header of IPv6 with offset 0 and no more fragments says nothing"""
    whole = Layer(struct.pack("!BBHI", 17, 0, 0, 7))
    frames = [ipv6(44, whole, udp(rng, 16), rest=bytes(16))]
    hint = "`frag=` is for an offset, or where more fragments come; this one is the whole packet"
    play(submission, frames, hint)


@pytest.mark.needs("test_ipv4")
@pytest.mark.points(1)
def test_pieces(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """a record that comes in pieces is told when all of it is there"""
    program = start(submission)
    frame = ipv4(17, udp(rng, 40), rest=bytes(40))
    hint = "read() gives what is there, which may be less: read on until you have all of it"
    for number, cut in enumerate((0, 7, 16, 30), 1):  # the first is whole
        data = record(frame.data)
        program.write(data[:cut], hint=hint)
        until(program.is_asleep, LOOK_S)  # it has read that, and waits for more
        program.write(data[cut:], hint=hint)
        program.expect_line(f"{number} len={len(frame.data)} {frame.words()}", hint=hint)
    # The longest one: more than a pipe has room for.
    longest = ethernet(0x88CC, rest=bytes(MOST_BYTES - 14)).data
    program.write(record(longest), hint=hint)
    program.expect_line(f"5 len={MOST_BYTES} type=0x88cc", hint=hint)
    program.end_input()
    program.expect_exit(0, hint="at the end of the file the program ends")


@pytest.mark.needs("test_lengths_inside_the_packet", "test_other_frames", "test_ipv6")
@pytest.mark.points(2)
def test_cut_frames(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """of a frame that was cut anywhere as much is told as is there, then `short`"""
    inner = ipv4(6, *tcp(rng, 5, 0x18, options=8), rest=bytes(5), options=bytes(4)).layers[1:]
    frames = [
        arp(1, "who-has 10.0.1.1 tell 10.0.1.2"),
        ethernet(0x0800, *inner, rest=bytes(5), tags=(7,)),
        ipv6(0, Layer(bytes([17, 1, *range(6)])), Layer(bytes(8)), udp(rng, 3), rest=bytes(3)),
        ipv4(1, icmp(8, 0), rest=bytes(4)),
    ]
    program = start(submission)
    number = 0
    hint = (
        "before a header is read, its bytes have to be there; a record says how many bytes of the "
        "frame it has, and how many there were: what is missing was cut off, and is not wrong"
    )
    for frame in frames:
        for cut in range(len(frame.data)):
            number += 1
            words = frame.words(cut)
            expect_words(program, number, frame.data[:cut], len(frame.data), words, hint)
    program.end_input()
    program.expect_exit(0)


@pytest.mark.needs("test_lengths_inside_the_packet", "test_other_frames", "test_ipv6")
@pytest.mark.points(1)
def test_wrong_lengths(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """a header that makes no sense is `bad`, and the next frame is told again"""
    udp4 = ipv4(17, udp(rng, 8), rest=bytes(8)).data
    tcp4 = ipv4(6, *tcp(rng, 0, 0x10)).data
    udp6 = ipv6(17, udp(rng, 8), rest=bytes(8)).data
    ip4, ip6 = "ip4 10.0.1.2 -> 192.0.2.77 ttl=63", "ip6 fd00:0:0:1::2 -> 2001:db8::f00 ttl=255"

    def changed(data: bytes, at: int, new: bytes) -> bytes:
        return data[:at] + new + data[at + len(new) :]

    chain = b"".join(bytes([0, 0, 1, 4, 0, 0, 0, 0]) for _ in range(20))
    endless = ipv6(0, rest=chain).data
    cases = {
        changed(udp4, 14, b"\x65"): "ip4 bad",  # version 6
        changed(udp4, 14, b"\x44"): "ip4 bad",  # a header of 16 bytes
        changed(udp4, 16, b"\x00\x13"): "ip4 bad",  # total length 19
        changed(udp4, 16, b"\x00\x25"): "ip4 bad",  # total length one more than there is
        changed(udp4, 16, b"\x00\x1b"): f"{ip4} udp bad",  # 7 bytes of UDP
        changed(tcp4, 46, b"\x40"): f"{ip4} tcp bad",  # a header of 16 bytes
        changed(tcp4, 46, b"\xf0"): f"{ip4} tcp bad",  # a header of 60 bytes, of 20
        changed(udp6, 14, b"\x45"): "ip6 bad",
        changed(udp6, 18, b"\x00\x11"): "ip6 bad",  # payload length one more than there is
        changed(changed(udp6, 20, b"\x00"), 55, b"\xff"): f"{ip6} bad",  # an extension of 2048
        endless: f"{ip6} bad",
        ethernet(0x0806, rest=bytes.fromhex("000608000104") + bytes(22)).data: "arp bad",
        udp4[:13]: "bad",
        udp4[:33]: "ip4 bad",
    }
    program = start(submission)
    hint = (
        "compare each length with what is left of the frame as it was, and with the least it can "
        "be; a frame may end before its header does"
    )
    number = 0
    for data, words in cases.items():
        expect_words(program, number + 1, data, len(data), words, hint)
        good = ipv4(1, icmp(0, 0), rest=bytes(4))
        expect_words(program, number + 2, good.data, len(good.data), good.words(), hint)
        number += 2
    program.end_input()
    program.expect_exit(0)


NOT_WAITED_FOR = "a record of 262145 bytes", "a record of 4 GB"
"""Where it ends without having all that the record says."""


@pytest.mark.needs("test_ipv4")
@pytest.mark.points(1)
def test_files(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """both byte orders are read; what is no capture, or breaks off, ends the program with 1"""
    frame = ipv4(17, udp(rng, 4), rest=bytes(4))
    line = f"1 len={len(frame.data)} {frame.words()}\n".encode()
    for order in "<>":
        for magic in (0xA1B2C3D4, 0xA1B23C4D):
            data = file_header(order, magic) + record(frame.data, order=order)
            program = submission.start("host", "pktproc", ready=False)
            program.write(data)
            program.end_input()
            hint = f"the file begins with {data[:4].hex()}: all its own numbers are in that order"
            ended = program.expect_exit(0, hint=hint)
            expect_equal(ended.stdout, line, "stdout", hint)
    good = file_header() + record(frame.data)
    too_long = struct.pack("<IIII", 0, 0, MOST_BYTES + 1, MOST_BYTES + 1)
    huge = struct.pack("<IIII", 0, 0, 0xFFFFFFF0, 0xFFFFFFF0)
    cases = {
        "an empty file": (b"", b""),
        "a text": (b"hello, world, this is no capture\n", b""),
        "a file of another link type": (file_header(link=101), b""),
        "a file that ends in a record's header": (good + bytes(7), line),
        "a file that ends in a frame": (good + record(frame.data)[:-1], line),
        "a record of 262145 bytes": (good + too_long + bytes(100), line),
        "a record of 4 GB": (good + huge + bytes(100), line),
        "a record with more bytes than the frame had": (good + record(bytes(20), 19), line),
    }
    for what, (data, wanted) in cases.items():
        program = submission.start("host", "pktproc", ready=False)
        if data:
            program.write(data)
        if what not in NOT_WAITED_FOR:
            program.end_input()
        hint = f"{what}: a line `error: read: …` on stderr, exit 1, after the frames before it"
        ended = program.expect_exit(1, hint=hint)
        expect_equal(ended.stdout, wanted, f"stdout for {what}", hint)
        said = ended.stderr.decode(errors="backslashreplace").splitlines()
        expect(
            len(said) == 1 and said[0].startswith("error: read: "),
            expected=f"one line on stderr for {what}: error: read: …",
            actual=f"{len(said)} lines, the last of them: {said[-1]}" if said else "nothing",
            hint=hint,
        )
