"""TIME/1 between a program that asks everybody and the hosts that the check plays."""

import struct
from collections.abc import Sequence
from typing import NamedTuple

from labctl.testing import (
    Address,
    Lab,
    Program,
    Submission,
    Udp,
    Unmet,
    expect_equal,
    unmet,
)

PORT = 8080
SUBNET = "10.0.0.255"
LIMITED = "255.255.255.255"
LONG_MS = "20000"
"""Much longer than any check waits for what should come."""

LONGEST_MS = "40000"
"""So long in one check only: a known mistake that takes no more is caught there, and nowhere else."""

REQUEST = struct.Struct("!2sBBIQ")
ANSWER = struct.Struct("!2sBBIQQ")


class Question(NamedTuple):
    """The program's request, as one host has received it."""

    seq: int
    t_client: int
    sender: Address

    def answer(self, t_server: int) -> bytes:
        return ANSWER.pack(b"TM", 1, 2, self.seq, self.t_client, t_server)


def host(lab: Lab, node: str) -> Udp:
    """Return a socket of a node that hears broadcasts: it is bound to 0.0.0.0."""
    return lab[node].udp(bind=("0.0.0.0", PORT))


def start(
    submission: Submission, *options: str, address: str = SUBNET, through: Sequence[str] = ()
) -> Program:
    arguments = (address, str(PORT), *options)
    return submission.start("alice", "time_poll", *arguments, ready=False, through=through)


def question(server: Udp, program: Program) -> Question:
    """Receive the program's request. Raises ``Unmet`` where none comes, or it is none."""
    hint = "setsockopt(SOL_SOCKET, SO_BROADCAST), then sendto() the broadcast address"
    try:
        data, sender = server.receive_from(expected="a request", hint=hint)
    except Unmet:
        if not program.is_running():
            unmet("a request", f"the program {program.how_it_ended()}", hint)
        raise
    expect_equal(len(data), REQUEST.size, "bytes in the request", "TIME/1 is in README.md")
    magic, version, kind, seq, t_client = REQUEST.unpack(data)
    what = "magic, version and type of the request"
    expect_equal((magic, version, kind), (b"TM", 1, 1), what, "TIME/1 is in README.md")
    return Question(seq, t_client, sender)
