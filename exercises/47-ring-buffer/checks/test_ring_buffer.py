"""Checks of ring. The contract is in README.md."""

import random

import pytest

from labctl.testing import (
    WITHIN_S,
    Address,
    Lab,
    Program,
    Submission,
    Udp,
    expect_equal,
    unmet,
    until,
)

TOP = 2**32


def play(
    submission: Submission, script: str, hint: str, *, size: int = 8, start: int = 0
) -> Program:
    """Tell a fresh ring the commands of a script, and compare: ``COMMAND -> ANSWER``."""
    program = submission.start("host", "ring", str(size), str(start), ready=False)
    go_on(program, script, hint)
    return program


def go_on(program: Program, script: str, hint: str) -> None:
    told: list[str] = []
    for step in filter(str.strip, script.splitlines()):
        command, _, wanted = (part.strip() for part in step.partition("->"))
        answer = program.ask(command, hint=hint)
        after = f", after {'; '.join(told[-5:])}" if told else ""
        expect_equal(answer, wanted, f'the answer to "{command}"{after}', hint)
        told.append(command)


def deliver(lab: Lab, peer: Udp, datagram: bytes, to: Address) -> None:
    """Send a datagram, and wait until it is in the receiver's queue."""
    peer.send(datagram, to=to)

    def has_arrived() -> bool:
        return any(entry.recv_q for entry in lab["host"].sockets("udp", to[1]))

    if not until(has_arrived, WITHIN_S):
        unmet(f"a socket bound to port {to[1]}", "it is not there, or full", "port is its own port")


@pytest.mark.points(2)
def test_bytes_come_out_in_their_order(submission: Submission, rng: random.Random) -> None:
    """bytes come out in the order in which they went in, again and again over the end"""
    hint = (
        "the byte with index i is at i modulo SIZE; what goes over the end is written in two pieces"
    )
    play(
        submission,
        """
        read 5        -> -
        write 0102030405 -> wrote 5
        read 3        -> 010203
        write 0a0b0c0d -> wrote 4
        read 2        -> 0405
        read 99       -> 0a0b0c0d
        read 1        -> -
        """,
        hint,
    )
    program = submission.start("host", "ring", "16", ready=False)
    waiting = b""
    for _ in range(60):
        some = rng.randbytes(rng.randrange(1, 12))[: 15 - len(waiting)]
        if some:
            go_on(program, f"write {some.hex()} -> wrote {len(some)}", hint)
        waiting += some
        count = rng.randrange(12)
        go_on(program, f"read {count} -> {waiting[:count].hex() or '-'}", hint)
        waiting = waiting[count:]


@pytest.mark.needs("test_bytes_come_out_in_their_order")
@pytest.mark.points(2)
def test_full_is_not_empty(submission: Submission, rng: random.Random) -> None:
    """every byte of the ring can be used, and full is told from empty"""
    hint = (
        "let the indices grow, and take them modulo SIZE only to find the place: then head - tail is "
        "0 when it is empty, SIZE when it is full"
    )
    some = rng.randbytes(8).hex()
    play(
        submission,
        f"""
        state         -> used=0 free=8 head=0 tail=0
        write {some}  -> wrote 8
        state         -> used=8 free=0 head=8 tail=0
        write ee      -> wrote 0
        read 8        -> {some}
        state         -> used=0 free=8 head=8 tail=8
        read 8        -> -
        write aabbcc  -> wrote 3
        write {some}  -> wrote 5
        state         -> used=8 free=0 head=16 tail=8
        read 8        -> aabbcc{some[:10]}
        """,
        hint,
    )
    for size, rounded in ((1, 1), (5, 8), (64, 64), (65, 128), (1000, 1024)):
        play(
            submission,
            f"state -> used=0 free={rounded} head=0 tail=0",
            "SIZE is rounded up to a power of two",
            size=size,
        )


@pytest.mark.needs("test_full_is_not_empty")
@pytest.mark.points(2)
def test_it_says_where_the_bytes_are(submission: Submission) -> None:
    """it says where bytes are and where there is room, in one piece or in two"""
    play(
        submission,
        """
        spans            -> -
        room             -> 0+8
        write 010203040506 -> wrote 6
        spans            -> 0+6
        room             -> 6+2
        read 4           -> 01020304
        spans            -> 4+2
        room             -> 6+2 0+4
        write 0708090a   -> wrote 4
        spans            -> 4+4 0+2
        room             -> 2+2
        write 0b0c       -> wrote 2
        spans            -> 4+4 0+4
        room             -> -
        read 4           -> 05060708
        spans            -> 0+4
        room             -> 4+4
        read 4           -> 090a0b0c
        room             -> 4+4 0+4
        """,
        "the first piece ends at the end of the memory at the latest; the rest begins at 0; no "
        "empty pieces",
    )


@pytest.mark.needs("test_it_says_where_the_bytes_are")
@pytest.mark.points(1)
def test_indices_go_round(submission: Submission) -> None:
    """the indices go round at 2**32, and no byte is lost"""
    hint = "subtract modulo 2**32, as uint32_t does; SIZE divides 2**32, so the place goes on too"
    play(
        submission,
        f"""
        state            -> used=0 free=8 head={TOP - 3} tail={TOP - 3}
        room             -> 5+3 0+5
        write 0102030405 -> wrote 5
        state            -> used=5 free=3 head=2 tail={TOP - 3}
        spans            -> 5+3 0+2
        write 0607080909 -> wrote 3
        state            -> used=8 free=0 head=5 tail={TOP - 3}
        read 4           -> 01020304
        state            -> used=4 free=4 head=5 tail=1
        read 9           -> 05060708
        """,
        hint,
        start=TOP - 3,
    )


@pytest.mark.needs("test_it_says_where_the_bytes_are")
@pytest.mark.points(2)
def test_what_is_held_is_not_overwritten(submission: Submission) -> None:
    """what somebody holds is not overwritten, until the last one drops it"""
    hint = "three indices: written up to, read up to, released up to; the room is what has been released"
    play(
        submission,
        """
        write 0102030405060708 -> wrote 8
        take 3           -> 1 0+3
        state            -> used=5 free=0 head=8 tail=3
        write ee         -> wrote 0
        ref 1            -> refs=2
        drop 1           -> refs=1
        write ee         -> wrote 0
        show 1           -> 010203
        drop 1           -> refs=0
        state            -> used=5 free=3 head=8 tail=3
        drop 1           -> error: EINVAL
        show 1           -> error: EINVAL
        write 0a0b0c     -> wrote 3
        take 6           -> 2 3+5 0+1
        take 3           -> error: EAGAIN
        show 2           -> 04050607080a
        """,
        hint,
    )
    play(
        submission,
        """
        write 0102030405060708 -> wrote 8
        take 2           -> 1 0+2
        take 2           -> 2 2+2
        take 2           -> 3 4+2
        drop 2           -> refs=0
        state            -> used=2 free=0 head=8 tail=6
        room             -> -
        read 1           -> 07
        write ee         -> wrote 0
        drop 1           -> refs=0
        state            -> used=1 free=4 head=8 tail=7
        room             -> 0+4
        show 3           -> 0506
        drop 3           -> refs=0
        state            -> used=1 free=7 head=8 tail=7
        """,
        "the oldest that is held decides: what was dropped behind it has to wait, also what was read",
    )


@pytest.mark.needs("test_it_says_where_the_bytes_are")
@pytest.mark.points(1)
def test_two_pieces_are_one_datagram(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """two pieces go out as one datagram, and one datagram comes into two pieces"""
    hint = "sendmsg() and recvmsg() take several pieces (struct iovec; in Python sendmsg, recvmsg_into)"
    peer = lab["host"].udp(bind=("127.0.0.1", 0))
    some, more = rng.randbytes(6), rng.randbytes(7)
    program = play(
        submission,
        f"""
        write 0000000000 -> wrote 5
        read 5           -> 0000000000
        write {some.hex()} -> wrote 6
        spans            -> 5+3 0+3
        send {peer.address[1]} -> sent 6
        """,
        hint,
    )
    got = peer.receive(expected="a datagram", hint=hint)
    expect_equal(got, some, "the datagram", hint)
    said = program.ask("port", hint=hint)
    word, _, number = said.partition(" ")
    if word != "port" or not number.isdecimal() or not 0 < int(number) < 65536:
        unmet('the answer to "port": port N', f'the answer to "port": {said}', "getsockname()")
    to = ("127.0.0.1", int(number))
    deliver(lab, peer, more, to)
    go_on(
        program,
        """
        room             -> 3+5 0+3
        receive          -> received 7
        spans            -> 3+5 0+2
        """,
        hint,
    )
    deliver(lab, peer, b"too long", to)
    go_on(
        program,
        f"""
        receive          -> error: EMSGSIZE
        receive          -> error: EAGAIN
        read 9           -> {more.hex()}
        state            -> used=0 free=8 head=18 tail=18
        """,
        "what does not fit whole is not taken: MSG_TRUNC says so, and head stays where it is",
    )
