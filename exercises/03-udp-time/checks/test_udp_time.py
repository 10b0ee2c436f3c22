"""Checks of udp-time. The contract is in README.md."""

import random
import re
import time

import pytest
import time1

from labctl.testing import Address, Lab, Submission, Udp, expect, expect_equal

SERVER = ("10.0.1.1", 8080)
SERVER_FROM_CLIENT2 = ("10.0.2.1", 8080)

LAYOUT = "the tables in README.md have every byte of a request and of an answer"


def ask(client: Udp, seq: int, t_client: int = 0, server: Address = SERVER) -> bytes:
    # Not connected: an answer from a wrong port arrives too, and is told apart by its own check.
    client.send(time1.request(seq, t_client), to=server)
    return client.receive(
        expected=f"an answer to the request with seq {seq}",
        hint="recvfrom() says who asked; sendto() answers there",
    )


@pytest.mark.points(4)
def test_the_answer_has_the_layout(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """the answer has the layout of TIME/1"""
    submission.start("server", "time_server", "0.0.0.0", "8080")
    client = lab["client1"].udp()
    seq, t_client = rng.randrange(1, 2**32), rng.randrange(1, 2**64)

    before = time.time_ns()
    data = ask(client, seq, t_client)
    after = time.time_ns()

    expect_equal(len(data), 24, "bytes in the answer", LAYOUT)
    magic, version, kind, got_seq, got_t_client, t_server = time1.ANSWER.unpack(data)
    expect_equal((magic, version, kind), (b"TM", 1, 2), "magic, version and type", LAYOUT)
    hint = 'big endian: struct.pack("!…") in Python, htonl and htobe64 in C'
    expect_equal(got_seq, seq, "seq, which is the request's", hint)
    expect_equal(got_t_client, t_client, "t_client, which comes back as it was sent", hint)
    expect(
        before <= t_server <= after,
        expected=f"t_server: nanoseconds since 1970, about {before}",
        actual=f"t_server: {t_server}",
        hint="time.time_ns() in Python, clock_gettime(CLOCK_REALTIME) in C; big endian",
    )


@pytest.mark.needs("test_the_answer_has_the_layout")
@pytest.mark.points(2)
def test_both_clients_are_served(lab: Lab, submission: Submission) -> None:
    """both clients are served, in turn and again"""
    submission.start("server", "time_server", "0.0.0.0", "8080")
    clients = [(lab["client1"].udp(), SERVER), (lab["client2"].udp(), SERVER_FROM_CLIENT2)]
    for seq in range(4):
        client, server = clients[seq % 2]
        data = ask(client, seq, server=server)
        expect_equal(time1.ANSWER.unpack(data)[3], seq, "seq of the answer", LAYOUT)


@pytest.mark.needs("test_the_answer_has_the_layout")
@pytest.mark.points(2)
@pytest.mark.parametrize("wrong", time1.garbage())
def test_garbage_is_not_answered(lab: Lab, submission: Submission, wrong: str) -> None:
    """garbage is not answered, and does no harm"""
    submission.start("server", "time_server", "0.0.0.0", "8080")
    client = lab["client1"].udp()
    client.send(time1.garbage()[wrong], to=SERVER)
    # The server takes datagrams in order: an answer to the first would come before this one.
    data = ask(client, 99)
    expect(
        len(data) == 24 and time1.ANSWER.unpack(data)[3] == 99,
        expected=f"no answer to {wrong}",
        actual=f"an answer of {len(data)} bytes",
        hint="check length, magic, version and type; receive into a buffer longer than a request",
    )


@pytest.mark.needs("test_the_answer_has_the_layout")
@pytest.mark.points(2)
def test_the_answer_comes_from_the_port_that_was_asked(lab: Lab, submission: Submission) -> None:
    """the answer comes from the port that was asked"""
    submission.start("server", "time_server", "0.0.0.0", "8080")
    client = lab["client1"].udp()
    client.send(time1.request(5, 0), to=SERVER)
    _, sender = client.receive_from(expected="an answer")
    expect_equal(
        f"{sender[0]}:{sender[1]}",
        "10.0.1.1:8080",
        "sender of the answer",
        "send it with the socket that received the request",
    )


@pytest.mark.points(3)
def test_the_client_prints_what_it_was_told(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """the client prints what it was told"""
    server = lab["server"].udp(bind=("0.0.0.0", 8080))
    client = submission.start("client1", "time_client", *map(str, SERVER), ready=False)
    data, sender = server.receive_from(expected="a request")
    expect_equal(len(data), 16, "bytes in the request", LAYOUT)
    magic, version, kind, seq, t_client = time1.REQUEST.unpack(data)
    expect_equal((magic, version, kind), (b"TM", 1, 1), "magic, version and type", LAYOUT)
    t_server = rng.randrange(10**18, 2 * 10**18)

    server.send(time1.answer(seq, t_client, t_server), to=sender)

    said = client.line(expected="a line about the answer")
    match = re.fullmatch(r"time seq=(\d+) ns=(\d+) rtt_us=(\d+) tries=(\d+)", said)
    expect(
        match,
        expected=f"time seq={seq} ns={t_server} rtt_us=… tries=1",
        actual=said,
        hint="numbers in decimal, one blank between the words, nothing else on stdout",
    )
    expect_equal(match[1], str(seq), "seq=", "the number of the request, in decimal")
    expect_equal(match[2], str(t_server), "ns=", "the server's number, not your own clock's")
    client.expect_exit(0, hint="one answer is enough: print it and end")
