"""Checks of udp-retry. The contract is in README.md."""

import random
import time
from itertools import pairwise

import pytest
import time1
from server import AT_CLIENT1, AT_CLIENT2, Server

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

REQUESTS = "udp dst port 8080"
ANSWERS = "udp src port 8080"

WAITS_MS = (200, 400, 800, 1600)

AGAIN_HINT = (
    "wait for the answer with a limit, settimeout() or poll(), and send the request again when it "
    "is over; -t is in milliseconds"
)


def start(
    submission: Submission, node: str, server: tuple[str, int], wait_ms: int, tries: int
) -> Program:
    options = ["-t", str(wait_ms), "-n", str(tries)]
    words = [server[0], str(server[1]), *options]
    return submission.start(node, "time_client", *words, ready=False)


def sent_ns(lab: Lab, node: str, match: str = REQUESTS) -> list[int]:
    """Return when each request of a node went on the wire."""
    return [sighting.time_ns for sighting in lab.packets(match, sent_by=node)]


@pytest.mark.points(1)
def test_an_answer_ends_the_asking(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """an answer is printed, and ends the asking"""
    server = Server(lab, rng)
    client = start(submission, "client1", AT_CLIENT1, 5000, 5)
    asked = server.request(client, "a request", "send one request at once")
    server.answer(asked)
    said = time1.printed(client, asked, server.t_server)
    expect_equal(said.tries, 1, "tries=", "how many requests had been sent when the answer came")
    hint = "an answer has come: do not ask again"
    expect_equal(len(sent_ns(lab, "client1")), 1, "requests sent", hint)


@pytest.mark.needs("test_an_answer_ends_the_asking")
@pytest.mark.points(2)
def test_it_asks_again_with_the_same_number(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """without an answer it asks again: the same question, with the same number"""
    server = Server(lab, rng)
    silent = rng.randrange(2, 5)
    client = start(submission, "client1", AT_CLIENT1, 100, 100)
    first = server.request(client, "a request", AGAIN_HINT)
    for number in range(2, silent + 2):
        again = server.request(client, f"try {number}, as no answer has come", AGAIN_HINT)
        hint = "it is the same question: choose its number once, before the first try"
        expect_equal(again.seq, first.seq, f"seq of try {number}", hint)
        hint = (
            "make the socket once, before the first try: a late answer goes to the port that asked"
        )
        ports = again.sender[1], first.sender[1]
        expect_equal(*ports, f"the port from which try {number} comes", hint)
    # Who asks once more before that is there gets an answer to it, too.
    server.answer(again)
    server.answer_all(client)
    said = time1.printed(client, first, server.t_server)
    expect_equal(said.tries, len(sent_ns(lab, "client1")), "tries=", "the requests that were sent")


@pytest.mark.needs("test_it_asks_again_with_the_same_number")
@pytest.mark.points(1)
def test_it_waits_longer_each_time(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """it waits as long as it was told, then twice, then four times as long"""
    server = Server(lab, rng)
    # Now the node knows the server's MAC address: no request waits for ARP, and is sent late.
    lab["client1"].udp().send(b"hello", to=AT_CLIENT1)
    if not until(server.udp.waiting, WITHIN_S):
        raise machine_error("a datagram from client1 does not arrive")
    client = start(submission, "client1", AT_CLIENT1, 100, 6)
    for number in range(1, 7):
        asked = server.request(client, f"try {number}", AGAIN_HINT)
    times_ns = sent_ns(lab, "client1", f"{REQUESTS} and src port {asked.sender[1]}")
    gaps_ms = [(later - before) // 10**6 for before, later in pairwise(times_ns[:6])]
    waits_ms = [100, 200, 400, 400, 400]
    for number, (least_ms, gap_ms) in enumerate(zip(waits_ms, gaps_ms, strict=True), 1):
        expect(
            gap_ms >= 0.9 * least_ms,
            expected=f"{least_ms} ms or more between try {number} and the next, with -t 100",
            actual=f"{gap_ms} ms; between the tries were {gaps_ms}",
            hint="-t MS is the first wait; double it after each try, up to four times MS",
        )


@pytest.mark.needs("test_it_waits_longer_each_time")
@pytest.mark.points(1)
@pytest.mark.parametrize("lost", ["requests", "answers"])
def test_lost_datagrams_are_made_up_for(
    lab: Lab, submission: Submission, rng: random.Random, lost: str
) -> None:
    """where three requests or three answers are lost, the last of four tries gets its answer"""
    direction, match = {
        "requests": ("client1->server", REQUESTS),
        "answers": ("server->client1", ANSWERS),
    }[lost]
    server = Server(lab, rng)
    with lab.faults({direction: [{"drop": {"match": match, "packets": "1-3"}}]}):
        # The last wait is 1200 ms: in that time an answer is here, however busy the machine is.
        client = start(submission, "client1", AT_CLIENT1, 300, 4)
        asked = server.serve(client)
        hint = "ask as often as -n says, and wait for the answer to the last try as well"
        said = time1.printed(client, asked, server.t_server, hint)
        expect_equal(said.tries, 4, f"tries=, where the first three {lost} are lost", hint)


@pytest.mark.needs("test_it_asks_again_with_the_same_number")
@pytest.mark.points(1)
def test_a_late_answer_counts(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """a late answer to the first try counts, with its own round trip time"""
    server = Server(lab, rng)
    # With waits that are longer, until the answer is taken in less than one of them: what others
    # count from, a later try, is later than the first by more than that.
    for wait_ms in WAITS_MS:
        since_ns = time.time_ns()
        client = start(submission, "client1", AT_CLIENT1, wait_ms, 10)
        first = server.request(client, "a request", AGAIN_HINT)
        second = server.request(client, "try 2, as no answer has come", AGAIN_HINT)
        answered_ns = time.time_ns()
        server.answer(first)
        until(lambda client=client: client.stdout or not client.is_running(), WITHIN_S)
        taken_ns = time.time_ns()
        hint = (
            "all tries are one question: take the answer to any of them, with any t_client you sent"
        )
        said = time1.printed(client, first, server.t_server, hint)
        # With the same t_client in all tries nobody can say which of them was answered.
        if first.t_client == second.t_client:
            return
        first_ns = min(ns for ns in sent_ns(lab, "client1") if ns >= since_ns)
        least_us = (answered_ns - first_ns) // 1000
        expect(
            said.rtt_us >= least_us,
            expected=f"rtt_us= at least {least_us}, the time between the first try and its answer",
            actual=f"rtt_us={said.rtt_us}",
            hint="count from the sending of the try that the answer's t_client belongs to",
        )
        if taken_ns - answered_ns < wait_ms * 10**6:
            return
    raise machine_error("an answer takes longer than a client waits: the machine is too busy")


@pytest.mark.needs("test_lost_datagrams_are_made_up_for", "test_a_late_answer_counts")
@pytest.mark.points(1)
def test_it_gets_through_a_bad_link(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """it gets through a link that loses four of ten requests"""
    server = Server(lab, rng)
    loss = {"drop": {"match": REQUESTS, "p": "40%"}}
    hint = "go on asking, as often as -n says, with the waits that -t says"
    with lab.faults({"client2->server": [loss]}) as armed:
        asks = 0
        while asks < 3 or not armed.rules()[0].completed:
            asks += 1
            # Not by its port: the kernel may give the same to the next client.
            since_ns = time.time_ns()
            client = start(submission, "client2", AT_CLIENT2, 50, 100)
            asked = server.serve(client)
            said = time1.printed(client, asked, server.t_server, hint)
            sent = sum(ns >= since_ns for ns in sent_ns(lab, "client2"))
            expect_equal(said.tries, sent, "tries=", "count every request that was sent")
        client = start(submission, "client1", AT_CLIENT1, 5000, 5)
        asked = server.serve(client)
        said = time1.printed(client, asked, server.t_server)
        expect_equal(said.tries, 1, "tries= of client 1, whose link is good", hint)


def reach(lab: Lab, udp: Udp, data: bytes, to: tuple[str, int]) -> None:
    """Send a datagram to client1, and wait until it is there: the next one comes after it."""
    match = f"udp dst port {to[1]}"
    before = len(lab.packets(match, received_by="client1"))
    udp.send(data, to=to)
    if not until(lambda: len(lab.packets(match, received_by="client1")) > before, WITHIN_S):
        raise machine_error(f"a datagram to client1, port {to[1]}, does not arrive")


@pytest.mark.needs("test_an_answer_ends_the_asking")
@pytest.mark.points(1)
def test_other_datagrams_are_ignored(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """what is not the answer to its request is ignored, whoever sends it"""
    server = Server(lab, rng)
    client = start(submission, "client1", AT_CLIENT1, 20_000, 5)
    asked = server.request(client, "a request", "send one request at once")
    strangers = {
        server.t_server + 1: ("another port of the server", lab["server"].udp()),
        server.t_server + 2: ("another host", lab["client2"].udp()),
    }
    wrong = time1.wrong_answers(asked, server.t_server + 3)
    for t_server, (_, stranger) in strangers.items():
        reach(lab, stranger, time1.answer_to(asked, t_server), asked.sender)
    for _, datagram in wrong.values():
        reach(lab, server.udp, datagram, asked.sender)
    server.answer(asked)

    hint = (
        "connect() the socket: the kernel then drops what others send. Check length, magic, "
        "version, type, seq and t_client; what is wrong, ignore, and wait on"
    )
    until(lambda: b"\n" in client.stdout or not client.is_running(), WITHIN_S)
    believed = {f"ns={t}": f"an answer from {name}" for t, (name, _) in strangers.items()}
    believed |= {f"ns={t}": f"an answer with {what}" for t, (what, _) in wrong.items()}
    for mark, what in believed.items():
        expect(
            mark.encode() not in client.stdout,
            expected="the good answer is printed",
            actual=f"it was {what}",
            hint=hint,
        )
    again = "a datagram that is ignored is no reason to ask again: wait on for the rest of the time"
    expect_equal(len(sent_ns(lab, "client1")), 1, "requests sent", again)
    time1.printed(client, asked, server.t_server, hint)


@pytest.mark.needs("test_it_asks_again_with_the_same_number", "test_other_datagrams_are_ignored")
@pytest.mark.points(1)
def test_nonsense_does_not_hold_it_up(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """a server that sends nonsense without end does not keep it from asking again"""
    server = Server(lab, rng)
    # Longer than the check can be kept from sending the next nonsense.
    wait_ms = 3000
    client = start(submission, "client1", AT_CLIENT1, wait_ms, 5)
    asked = server.request(client, "a request", AGAIN_HINT)

    again: list[time1.Asked] = []

    def asks_again() -> bool:
        server.udp.send(b"nonsense", to=asked.sender)
        has_ended = not client.is_running()
        again.extend(server.arrived(most=1))
        return bool(again) or has_ended

    hint = (
        "what is ignored must not start the wait anew: note the time at which it is over, and wait "
        "only for what is left"
    )
    until(asks_again, WITHIN_S)
    expected = f"a second try within {WITHIN_S:g} s, with -t {wait_ms}"
    if client.is_running():
        expect(again, expected=expected, actual="none came, while nonsense came", hint=hint)
        server.answer(again[0])
    time1.printed(client, asked, server.t_server, hint)


@pytest.mark.needs("test_it_asks_again_with_the_same_number")
@pytest.mark.points(1)
def test_it_gives_up(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """it gives up after as many tries as it was told, and exits with 3"""
    server = Server(lab, rng)
    tries = rng.randrange(12, 20)
    client = start(submission, "client1", AT_CLIENT1, 10, tries)
    server.request(client, "a request", AGAIN_HINT)
    whole_ms = 10 + 20 + 40 * (tries - 2)
    hint = f"the waits are 10, 20 and then 40 ms each: with -t 10 -n {tries}, {whole_ms} ms in all"
    ended = client.end(expected="it gives up", hint=hint)
    hint = "-n says how often to ask, the first time included"
    expect_equal(len(sent_ns(lab, "client1")), tries, f"requests sent with -n {tries}", hint)
    hint = "whoever calls the program has to tell that no answer came: exit with 3"
    expect_equal(ended.exit_status, 3, "exit status without an answer", hint)
    hint = "on stdout are answers; complaints go to stderr"
    expect_equal(ended.stdout, b"", "stdout without an answer", hint)
