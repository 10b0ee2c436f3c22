"""TIME/1 as the checks speak it: requests read, good answers, and what is none."""

import struct
from typing import NamedTuple

from labctl.testing import Address, expect_equal

REQUEST = struct.Struct("!2sBBIQ")
ANSWER = struct.Struct("!2sBBIQQ")

LAYOUT = "README.md has every byte of a request"


class Asked(NamedTuple):
    """A request, and where it came from."""

    seq: int
    t_client: int
    sender: Address


class Answer(NamedTuple):
    """What an answer says."""

    seq: int
    t_server: int


def read_request(datagram: bytes, sender: Address) -> Asked:
    expect_equal(len(datagram), 16, "bytes in a request", LAYOUT)
    magic, version, kind, seq, t_client = REQUEST.unpack(datagram)
    expect_equal((magic, version, kind), (b"TM", 1, 1), "magic, version and type", LAYOUT)
    return Asked(seq, t_client, sender)


def answer_to(asked: Asked, t_server: int) -> bytes:
    return ANSWER.pack(b"TM", 1, 2, asked.seq, asked.t_client, t_server)


def read_answer(datagram: bytes) -> Answer:
    _, _, _, seq, _, t_server = ANSWER.unpack(datagram)
    return Answer(seq, t_server)


def wrong_answers(asked: Asked, burst: int) -> dict[int, tuple[str, bytes]]:
    """Return datagrams that are no answer to a burst of so many, by their t_server."""
    good = [answer_to(asked, number) for number in range(9)]
    beyond = asked._replace(seq=burst)
    far_beyond = asked._replace(seq=2**32 - 1)
    other_time = asked._replace(t_client=asked.t_client ^ 1)
    wrong = [
        ("an empty datagram", b""),
        ("23 bytes", good[1][:23]),
        ("25 bytes", good[2] + b"\0"),
        ('the magic "XX"', b"XX" + good[3][2:]),
        ("version 2", good[4][:2] + b"\2" + good[4][3:]),
        ("type 1", good[5][:3] + b"\1" + good[5][4:]),
        (f"an answer to seq {burst}, which was not asked", answer_to(beyond, 6)),
        ("an answer to seq 4294967295", answer_to(far_beyond, 7)),
        ("an answer with a t_client that was not sent", answer_to(other_time, 8)),
    ]
    return dict(enumerate(wrong))
