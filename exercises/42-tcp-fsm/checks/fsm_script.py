"""Conversations with tcp_fsm, written with x for its first number and y for the peer's."""

import random
import re

from labctl.testing import Program, Submission, expect_equal

_MODULUS = 1 << 32
_NUMBER = re.compile(r"(?<==)([xy])(\+\d+|-\d+)?")

OPENED = """
    connect                          -> SYN-SENT > SYN seq=x
    < SYN,ACK seq=y ack=x+1          -> ESTABLISHED > ACK seq=x+1 ack=y+1
"""
ACCEPTED = """
    listen                           -> LISTEN
    < SYN seq=y                      -> SYN-RECEIVED > SYN,ACK seq=x ack=y+1
    < ACK seq=y+1 ack=x+1            -> ESTABLISHED
"""
FIN_WAIT_1 = OPENED + "close -> FIN-WAIT-1 > FIN,ACK seq=x+1 ack=y+1\n"
FIN_WAIT_2 = FIN_WAIT_1 + "< ACK seq=y+1 ack=x+2 -> FIN-WAIT-2\n"
CLOSING = FIN_WAIT_1 + "< FIN,ACK seq=y+1 ack=x+1 -> CLOSING > ACK seq=x+2 ack=y+2\n"
TIME_WAIT = CLOSING + "< ACK seq=y+2 ack=x+2 -> TIME-WAIT @2MSL\n"
CLOSE_WAIT = OPENED + "< FIN,ACK seq=y+1 ack=x+1 -> CLOSE-WAIT > ACK seq=x+1 ack=y+2\n"
LAST_ACK = CLOSE_WAIT + "close -> LAST-ACK > FIN,ACK seq=x+1 ack=y+2\n"
ENDS = [
    (FIN_WAIT_1, "y+1 -> CLOSED ! ECONNRESET", "CLOSED > RST seq=x+2"),
    (FIN_WAIT_2, "y+1 -> CLOSED ! ECONNRESET", "CLOSED > RST seq=x+2"),
    (CLOSE_WAIT, "y+2 -> CLOSED ! ECONNRESET", "CLOSED > RST seq=x+1"),
    (CLOSING, "y+2 -> CLOSED", "CLOSED"),
    (LAST_ACK, "y+2 -> CLOSED", "CLOSED"),
    (TIME_WAIT, "y+2 -> CLOSED", "CLOSED"),
]
"""The way to a state, what a reset does there, and what ``abort`` does."""


def written(line: str, x: int, y: int) -> str:
    """Return a line with its numbers: ``seq=x+1`` becomes ``seq=1001``."""

    def number(match: re.Match[str]) -> str:
        return str(((x if match[1] == "x" else y) + int(match[2] or 0)) % _MODULUS)

    return _NUMBER.sub(number, line)


def play(
    submission: Submission, script: str, x: int, y: int, hint: str, *, tells_x: bool = True
) -> None:
    """Tell a fresh tcp_fsm the events of a script; compare each line that it answers.

    A line of the script is ``EVENT -> ANSWER``; ``error: ...`` is any line that begins so.
    """
    arguments = [str(x)] if tells_x else []
    program = submission.start("client", "tcp_fsm", *arguments, ready=False)
    told: list[str] = []
    for step in filter(str.strip, script.splitlines()):
        event, _, wanted = (part.strip() for part in written(step, x, y).partition("->"))
        answer_is(program, told, event, wanted, hint)


def answer_is(program: Program, told: list[str], event: str, wanted: str, hint: str) -> None:
    """Tell one event and compare the answer; ``told`` are the events before."""
    answer = program.ask(event, hint=hint)
    if answer.startswith("error: "):
        answer = "error: ..."
    after = f", after {'; '.join(told[-4:])}" if told else ""
    expect_equal(answer, wanted, f'the answer to "{event}"{after}', hint)
    told.append(event)


def numbers(rng: random.Random) -> tuple[int, int]:
    """Return a first number for each end, far from where they go round."""
    return rng.randrange(1000, 2**31 - 1000), rng.randrange(2**31 + 1000, 2**32 - 100_000)
