"""Checks of udp-burst. The contract is in README.md."""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest
import report
import time1
from server import Server

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Submission,
    Udp,
    expect,
    expect_equal,
    machine_error,
    until,
)

AT_CLIENT1 = ("10.0.1.1", 8080)
AT_CLIENT2 = ("10.0.2.1", 8080)

WAITS_MS = (700, 1400, 2800, 5600)
"""How long a client is told to listen: longer than a check needs to answer, one of them."""

BURST_HINT = "send all requests one after the other; the answers wait in the socket until you read"


class Burst(NamedTuple):
    """A client that has sent its requests, and the server that has not answered them yet."""

    client: Program
    server: Server
    asked: list[time1.Asked]

    @property
    def port(self) -> int:
        return self.asked[0].sender[1]

    def answer(self, seqs: Sequence[int]) -> None:
        """Answer the requests with these numbers in this order."""
        by_seq = {asked.seq: asked for asked in self.asked}
        self.server.answer([by_seq[seq] for seq in seqs])


class Answered(NamedTuple):
    """What a client reports that was answered in time, and the port to which its answers came."""

    said: report.Report
    port: int


def start(
    submission: Submission, node: str, to: tuple[str, int], requests: int, wait_ms: int
) -> Program:
    words = [to[0], str(to[1]), "-n", str(requests), "-t", str(wait_ms)]
    return submission.start(node, "time_burst_client", *words, ready=False)


def burst_of(
    lab: Lab, submission: Submission, server: Server, requests: int, wait_ms: int
) -> Burst:
    # Now the node knows the server's MAC address. Of requests that wait for ARP some may be
    # overtaken by those after them.
    lab["client1"].udp().send(b"hello", to=AT_CLIENT1)
    if not until(server.udp.waiting, WITHIN_S):
        raise machine_error("a datagram from client1 does not arrive")
    client = start(submission, "client1", AT_CLIENT1, requests, wait_ms)
    what = f"{requests} requests before the first answer"
    asked = server.collect(client, requests, what, BURST_HINT)
    expect_equal(
        " ".join(str(seq) for seq in sorted(each.seq for each in asked)),
        " ".join(str(seq) for seq in range(requests)),
        f"seq of the requests sent with -n {requests}",
        "the first request has seq 0, each one more than the one before",
    )
    return Burst(client, server, asked)


def answered(
    lab: Lab,
    submission: Submission,
    rng: random.Random,
    requests: int,
    answer: Callable[[Burst], None],
) -> Answered:
    """Have a burst answered; return what the client reports of it."""
    server = Server(lab, rng)

    def attempt(wait_ms: int) -> Answered | None:
        burst = burst_of(lab, submission, server, requests, wait_ms)
        answer(burst)
        return reported(lab, "client1", burst.client, burst.port, wait_ms)

    return in_time(attempt)


def reported(lab: Lab, node: str, client: Program, port: int, wait_ms: int) -> Answered | None:
    """Return what a client reports; None where the check has answered too late."""
    said = report.read_report(client, wait_ms)
    if not report.is_in_time(lab, node, port, wait_ms):
        return None
    return Answered(said, port)


def in_time(attempt: Callable[[int], Answered | None]) -> Answered:
    """Return what an attempt gives, the first in which the client listened long enough.

    What came after that says nothing of the client: it is the machine that was slow.
    """
    for wait_ms in WAITS_MS:
        if result := attempt(wait_ms):
            return result
    raise machine_error("the check answered too late: the machine is too busy")


@pytest.mark.points(1)
def test_the_whole_burst_is_sent_at_once(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """it sends all requests of the burst, numbered from 0, without waiting for answers"""
    requests = rng.randrange(5, 20)
    # It is not answered, and does not end before this check does.
    burst = burst_of(lab, submission, Server(lab, rng), requests, wait_ms=20_000)
    ports = {asked.sender[1] for asked in burst.asked}
    expect_equal(len(ports), 1, "ports from which they come", "send all with one socket")
    # The order in which they were sent; the way to the server is another matter.
    sent = lab.packets(f"{report.REQUESTS} and src port {ports.pop()}", sent_by="client1")
    seqs = [time1.read_request(each.frame[42:], ("", 0)).seq for each in sent]
    expect_equal(
        " ".join(str(seq) for seq in seqs),
        " ".join(str(seq) for seq in range(requests)),
        "seq of the requests, in the order in which they are sent",
        "send them in the order of their numbers, and each one once",
    )


@pytest.mark.needs("test_the_whole_burst_is_sent_at_once")
@pytest.mark.points(1)
def test_answers_are_printed_as_they_come(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """it prints the answers in the order in which they come"""
    order = list(range(6))
    while order == sorted(order):
        rng.shuffle(order)
    said, port = answered(lab, submission, rng, 6, lambda burst: burst.answer(order))
    report.expect_lines(said, report.received(lab, "client1", port))


@pytest.mark.needs("test_answers_are_printed_as_they_come")
@pytest.mark.points(1)
def test_reordered_answers_are_counted(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """it counts the answers that were overtaken"""
    order = telling_order(rng, 8)
    said, port = answered(lab, submission, rng, 8, lambda burst: burst.answer(order))
    report.expect_counts(said, 8, report.received(lab, "client1", port))


def telling_order(rng: random.Random, length: int) -> list[int]:
    """Return an order in which other ways to count give other numbers."""
    order = list(range(length))
    while True:
        rng.shuffle(order)
        right = report.counts_of(length, order)["reordered"]
        below_the_last = sum(order[at] < order[at - 1] for at in range(1, length))
        out_of_place = sum(seq != at for at, seq in enumerate(order))
        below_the_next = sum(seq > min(order[at:]) for at, seq in enumerate(order))
        if right not in (below_the_last, out_of_place, below_the_next):
            return order


@pytest.mark.needs("test_answers_are_printed_as_they_come")
@pytest.mark.points(1)
def test_lost_answers_are_counted(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """it counts the requests that were not answered, and that is no error"""
    lost = {rng.randrange(4), rng.randrange(4, 8), *rng.sample([8], rng.randrange(2))}
    kept = [seq for seq in range(9) if seq not in lost]
    said, port = answered(lab, submission, rng, 9, lambda burst: burst.answer(kept))
    report.expect_counts(said, 9, report.received(lab, "client1", port))
    hint = "the program has done what it is for, which is to count them: exit with 0"
    expect_equal(said.exit_status, 0, "exit status where answers are missing", hint)


@pytest.mark.needs("test_lost_answers_are_counted")
@pytest.mark.points(1)
def test_doubled_answers_are_counted(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """it counts the answers that came again"""
    # Not the last one: a client that ends when all are answered is told so by another check.
    twice, thrice = rng.sample(range(5), 2)
    seqs = sorted([*range(6), twice, thrice, thrice])
    said, port = answered(lab, submission, rng, 6, lambda burst: burst.answer(seqs))
    came = report.received(lab, "client1", port)
    report.expect_counts(said, 6, came)
    report.expect_lines(said, came)


@pytest.mark.needs("test_reordered_answers_are_counted", "test_doubled_answers_are_counted")
@pytest.mark.points(1)
def test_all_of_it_at_once(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """it counts right where answers are lost, doubled and overtaken, a late double one as both"""
    kept = rng.sample(range(12), 9)
    seqs = [*kept, *rng.sample(kept, 3)]
    rng.shuffle(seqs)
    seqs.append(min(seqs))
    said, port = answered(lab, submission, rng, 12, lambda burst: burst.answer(seqs))
    report.expect_counts(said, 12, report.received(lab, "client1", port))


@pytest.mark.needs("test_reordered_answers_are_counted", "test_doubled_answers_are_counted")
@pytest.mark.points(1)
def test_what_the_network_does_is_counted(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """it counts what the network itself swaps, drops and doubles"""
    server = Server(lab, rng)
    rules = [
        {"swap": {"match": report.REQUESTS, "packets": [rng.randrange(1, 4)]}},
        {"drop": {"match": report.REQUESTS, "packets": [rng.randrange(5, 8)]}},
        {"duplicate": {"match": report.REQUESTS, "packets": [rng.randrange(8, 11)]}},
    ]

    def attempt(wait_ms: int) -> Answered | None:
        with lab.faults({"client2->server": rules}):
            client = start(submission, "client2", AT_CLIENT2, 10, wait_ms)
            # One is lost and one comes twice; the server answers each that comes.
            asked = server.collect(client, 10, "the requests", BURST_HINT)
            server.answer(asked)
            return reported(lab, "client2", client, asked[0].sender[1], wait_ms)

    said, port = in_time(attempt)
    report.expect_counts(said, 10, report.received(lab, "client2", port))


@pytest.mark.needs("test_doubled_answers_are_counted")
@pytest.mark.points(1)
def test_it_listens_to_the_end(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """it goes on listening when all requests are answered"""
    again = rng.randrange(4)

    def answer(burst: Burst) -> None:
        burst.answer(range(4))

        def has_read_all() -> bool:
            own = lab["client1"].sockets("udp", burst.port)
            has_all = len(report.received(lab, "client1", burst.port)) == 4
            return has_all and all(each.recv_q == 0 for each in own)

        until(has_read_all, WITHIN_S)
        burst.answer([again])

    said, _ = answered(lab, submission, rng, 4, answer)
    hint = "an answer may come twice, and late: listen until -t milliseconds after the last request"
    expect_equal(said.counts["dup"], 1, "dup=, where the double one comes after all others", hint)


def reach(lab: Lab, udp: Udp, data: bytes, to: tuple[str, int]) -> None:
    """Send a datagram to client1, and wait until it is there: the next one comes after it."""
    match = f"udp dst port {to[1]}"
    before = len(lab.packets(match, received_by="client1"))
    udp.send(data, to=to)
    if not until(lambda: len(lab.packets(match, received_by="client1")) > before, WITHIN_S):
        raise machine_error(f"a datagram to client1, port {to[1]}, does not arrive")


@pytest.mark.needs("test_lost_answers_are_counted")
@pytest.mark.points(1)
def test_what_is_no_answer_is_not_counted(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """what is no answer to the burst is not counted, whoever sends it"""
    strangers = {
        101: ("an answer from another port of the server", lab["server"].udp()),
        102: ("an answer from another host", lab["client2"].udp()),
    }
    names = {number: what for number, (what, _) in strangers.items()}

    def answer(burst: Burst) -> None:
        first = burst.asked[0]
        for t_server, (_, stranger) in strangers.items():
            reach(lab, stranger, time1.answer_to(first, t_server), first.sender)
        for number, (what, datagram) in time1.wrong_answers(first, burst=3).items():
            names[number] = what
            reach(lab, burst.server.udp, datagram, first.sender)
        burst.answer([1, 2])

    said, _ = answered(lab, submission, rng, 3, answer)
    hint = (
        "connect() the socket: the kernel then drops what others send. Check length, magic, version, "
        "type and seq, and t_client against the one that was sent with that seq"
    )
    for each in said.answers:
        expect(
            each.t_server not in names,
            expected="what is no answer to the burst is not counted",
            actual=f"it counted {names.get(each.t_server)}",
            hint=hint,
        )
    seqs = " ".join(str(each.seq) for each in said.answers)
    expect_equal(seqs, "1 2", "seq of the answers that count", hint)
    for name, right in report.counts_of(3, [1, 2]).items():
        expect_equal(said.counts[name], right, f"{name}=", hint)


@pytest.mark.needs("test_what_is_no_answer_is_not_counted")
@pytest.mark.points(1)
def test_nonsense_does_not_hold_it_up(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """it ends in time, though a server sends nonsense without end"""
    # Longer than the check can be kept from sending the next nonsense.
    wait_ms = 3000
    burst = burst_of(lab, submission, Server(lab, rng), 3, wait_ms)

    def has_ended() -> bool:
        burst.server.udp.send(b"nonsense", to=burst.asked[0].sender)
        return not burst.client.is_running()

    expect(
        until(has_ended, WITHIN_S),
        expected=f"the program ends within {WITHIN_S:g} s, with -t {wait_ms}",
        actual="it is still running, while nonsense comes",
        hint="note once when the listening is over, and let each wait be what is left until then",
    )
