"""Conversations with tcp_fsm, written with x for its first number and y for the peer's."""

import random
import re

from labctl.testing import Program, Submission, expect_equal

_MODULUS = 1 << 32
_NUMBER = re.compile(r"(?<==)([xy])(\+\d+|-\d+)?")


def written(line: str, x: int, y: int) -> str:
    """Return a line with its numbers: ``seq=x+1`` becomes ``seq=1001``."""

    def number(match: re.Match[str]) -> str:
        return str(((x if match[1] == "x" else y) + int(match[2] or 0)) % _MODULUS)

    return _NUMBER.sub(number, line)


def play(submission: Submission, script: str, x: int, y: int, hint: str) -> None:
    """Tell a fresh tcp_fsm the events of a script; compare each line that it answers.

    A line of the script is ``EVENT -> ANSWER``.
    """
    program = submission.start("client", "tcp_fsm", str(x), ready=False)
    told: list[str] = []
    for step in filter(str.strip, script.splitlines()):
        event, _, wanted = (part.strip() for part in written(step, x, y).partition("->"))
        answer_is(program, told, event, wanted, hint)


def answer_is(program: Program, told: list[str], event: str, wanted: str, hint: str) -> None:
    """Tell one event and compare the answer; ``told`` are the events before."""
    answer = program.ask(event, hint=hint)
    after = f", after {'; '.join(told[-4:])}" if told else ""
    expect_equal(answer, wanted, f'the answer to "{event}"{after}', hint)
    told.append(event)


def numbers(rng: random.Random) -> tuple[int, int]:
    """Return a first number for each end, far from where they go round."""
    return rng.randrange(1000, 2**31 - 1000), rng.randrange(2**31 + 1000, 2**32 - 100_000)
