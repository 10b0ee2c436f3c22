"""What the client has to report, which is what has arrived in its node; and what it does report."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import time1

from labctl.testing import WITHIN_S, Lab, Program, expect, expect_equal

ANSWERS = "udp src port 8080"
REQUESTS = "udp dst port 8080"

LINE = "a line `time seq=… ns=… rtt_us=…` for each answer, numbers in decimal, nothing else"
LAST = "the last line is the counts, as README.md has them"
ORDER = "print each answer when it arrives, also one that comes twice or late"
ENDS = "it ends -t milliseconds after the last request, whatever comes"

NUMBER = "(-?[0-9]{1,20})"

HINTS = {
    "sent": "the number that -n says",
    "received": "how many numbers were answered: one that is answered twice is one number",
    "lost": "how many numbers were never answered: sent - received",
    "dup": "further answers to a number that was answered before",
    "reordered": "answers whose seq is lower than the highest seq that came before",
}


class Report(NamedTuple):
    """What the client printed."""

    answers: list[time1.Answer]
    counts: dict[str, int]
    exit_status: int


def received(lab: Lab, node: str, port: int) -> list[time1.Answer]:
    """Return the answers that have arrived in a node at that port, in their order."""
    match = f"{ANSWERS} and dst port {port}"
    return [time1.read_answer(s.frame[42:]) for s in lab.packets(match, received_by=node)]


def counts_of(sent: int, seqs: Sequence[int]) -> dict[str, int]:
    """Return what is to be reported of answers that came in this order."""
    answered = len(set(seqs))
    return {
        "sent": sent,
        "received": answered,
        "lost": sent - answered,
        "dup": len(seqs) - answered,
        "reordered": sum(seq < max(seqs[:at]) for at, seq in enumerate(seqs) if at),
    }


def read_report(client: Program, wait_ms: int) -> Report:
    """Return what the client printed, when it has ended."""
    within_s = wait_ms / 1000 + WITHIN_S
    ended = client.end(expected="the program ends by itself", hint=ENDS, within_s=within_s)
    lines = ended.stdout.decode(errors="backslashreplace").splitlines()
    how = f"nothing, and it {client.how_it_ended()}"
    expect(lines, expected="a report on stdout", actual=how, hint=LAST)
    last = re.fullmatch(" ".join(f"{name}={NUMBER}" for name in HINTS), lines[-1])
    wanted = " ".join(f"{name}=…" for name in HINTS)
    expect(last, expected=f"as the last line: {wanted}", actual=lines[-1], hint=LAST)
    answers = []
    for line in lines[:-1]:
        match = re.fullmatch(f"time seq={NUMBER} ns={NUMBER} rtt_us={NUMBER}", line)
        expect(match, expected="time seq=… ns=… rtt_us=…", actual=line, hint=LINE)
        answers.append(time1.Answer(int(match[1]), int(match[2])))
    counts = dict(zip(HINTS, map(int, last.groups()), strict=True))
    return Report(answers, counts, ended.exit_status)


def expect_lines(report: Report, came: Sequence[time1.Answer], hint: str = ORDER) -> None:
    """Compare the lines with the answers that came."""
    expect_equal(
        " ".join(str(answer.seq) for answer in report.answers),
        " ".join(str(answer.seq) for answer in came),
        "seq of the answers, as they are printed",
        hint,
    )
    for printed, answer in zip(report.answers, came, strict=True):
        hint = "t_server, the last eight bytes of that answer"
        expect_equal(printed.t_server, answer.t_server, f"ns= of seq {answer.seq}", hint)


def expect_counts(report: Report, sent: int, came: Sequence[time1.Answer]) -> None:
    """Compare the counts with what follows from the answers that came."""
    seqs = [answer.seq for answer in came]
    order = f", where the answers came as {' '.join(map(str, seqs))}" if seqs else ""
    for name, right in counts_of(sent, seqs).items():
        expect_equal(report.counts[name], right, f"{name}={order}", HINTS[name])


def is_in_time(lab: Lab, node: str, port: int, wait_ms: int) -> bool:
    """Whether all answers to a client came while it listens. If not, it is the machine that is slow."""
    requests = lab.packets(f"{REQUESTS} and src port {port}", sent_by=node)
    answers = lab.packets(f"{ANSWERS} and dst port {port}", received_by=node)
    return max(s.time_ns for s in answers) <= max(s.time_ns for s in requests) + wait_ms * 10**6
