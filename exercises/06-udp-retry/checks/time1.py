"""TIME/1 as the checks speak it: requests read, good answers, and what is none."""

import re
import struct
from typing import NamedTuple

from labctl.testing import Address, Program, expect, expect_equal

REQUEST = struct.Struct("!2sBBIQ")
ANSWER = struct.Struct("!2sBBIQQ")

LAYOUT = "README.md has every byte of a request"
LINE = "the line goes to stdout, flushed, with its numbers in decimal; notes go to stderr"


class Asked(NamedTuple):
    """A request, and where it came from."""

    seq: int
    t_client: int
    sender: Address


class Printed(NamedTuple):
    """What the client says of the answer that it took."""

    rtt_us: int
    tries: int


def read_request(datagram: bytes, sender: Address) -> Asked:
    expect_equal(len(datagram), 16, "bytes in a request", LAYOUT)
    magic, version, kind, seq, t_client = REQUEST.unpack(datagram)
    expect_equal((magic, version, kind), (b"TM", 1, 1), "magic, version and type", LAYOUT)
    return Asked(seq, t_client, sender)


def answer_to(asked: Asked, t_server: int) -> bytes:
    return ANSWER.pack(b"TM", 1, 2, asked.seq, asked.t_client, t_server)


def printed(client: Program, asked: Asked, t_server: int, hint: str = "") -> Printed:
    """Return what the client prints of an answer, which is all that it prints, and its end."""
    hint = hint or "take the answer, print it and exit"
    expected = "it prints the answer, and exits with status 0"
    ended = client.end(expected=expected, hint=hint)
    how = f"it {client.how_it_ended()}"
    expect(ended.exit_status == 0, expected=expected, actual=how, hint=hint)
    expected = f"time seq={asked.seq} ns={t_server} rtt_us=… tries=…"
    said = ended.stdout.decode(errors="backslashreplace")
    number = "([0-9]{1,20})"
    line = f"time seq={number} ns={number} rtt_us={number} tries={number}\n"
    match = re.fullmatch(line, said)
    expect(match, expected=f"one line: {expected}", actual=said or "nothing", hint=LINE)
    seq, ns, rtt_us, tries = map(int, match.groups())
    expect_equal(seq, asked.seq, "seq=", "the number of the request, in decimal")
    expect_equal(ns, t_server, "ns=", "t_server, the number in the answer")
    return Printed(rtt_us, tries)


def wrong_answers(asked: Asked, first_t_server: int) -> dict[int, tuple[str, bytes]]:
    """Return datagrams that are no answer, and what is wrong with each, by their t_server."""
    numbers = range(first_t_server, first_t_server + 8)
    good = [answer_to(asked, number) for number in numbers]
    other_seq = asked._replace(seq=asked.seq ^ 1 << 31)
    other_time = asked._replace(t_client=asked.t_client ^ 1)
    wrong = [
        ("23 bytes", good[0][:23]),
        ("25 bytes", good[1] + b"\0"),
        ('the magic "XX"', b"XX" + good[2][2:]),
        ("version 2", good[3][:2] + b"\2" + good[3][3:]),
        ("type 1", good[4][:3] + b"\1" + good[4][4:]),
        ("the seq of another request", answer_to(other_seq, numbers[5])),
        ("a t_client that was never sent", answer_to(other_time, numbers[6])),
        ("no bytes at all", b""),
    ]
    return dict(zip(numbers, wrong, strict=True))
