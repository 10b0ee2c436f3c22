"""Checks of kv-fire. The contract is in README.md."""

import random

import kv1
import pytest
from kv1 import BIG, PORT, SERVER, SERVER_FROM_CLIENT2, ask, expect_answer, put, value

from labctl.testing import WITHIN_S, Lab, Submission, expect, until

ERRORS = (
    "a failed send() or recv() ends this client's turn: close its socket and accept() the next one"
)
SIGPIPE = (
    "the second send() to a client that has gone fails with EPIPE, and raises SIGPIPE: ignore the "
    "signal, signal(SIGPIPE, SIG_IGN), or send with MSG_NOSIGNAL; then " + ERRORS
)


@pytest.mark.points(4)
@pytest.mark.parametrize("count", [2, 1000])
def test_it_survives_a_client_that_leaves_without_reading(
    lab: Lab, submission: Submission, count: int
) -> None:
    """it survives a client that leaves without reading its answers"""
    program = submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    rude = lab["client1"].connect(SERVER)
    ask(rude, put(b"big", BIG), b"OK\n", "the store speaks KV/1, as in kv-iterative")

    # Frozen, the server finds all requests and the FIN when it goes on.
    program.freeze()
    rude.send(b"GET big\n" * count)
    kv1.leave(lab, rude)
    program.thaw()

    reset = f"tcp port {PORT} and tcp[tcpflags] & tcp-rst != 0"
    expect(
        until(lambda: lab.packets(reset, sent_by="client1"), WITHIN_S),
        expected="the server answers, and the client's kernel, where nobody is left, sends RST",
        actual="no RST was sent: there was no answer",
        hint="a client that has closed may have asked before; the server answers all the same",
    )
    client = kv1.connected(program, lab, SIGPIPE)
    kv1.expect_served(program, client, put(b"next", b"1"), b"OK\n", SIGPIPE)


@pytest.mark.needs("test_it_survives_a_client_that_leaves_without_reading")
@pytest.mark.points(2)
def test_nothing_is_lost_for_the_others(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """who waited meanwhile is served, and finds what was stored before"""
    program = submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    rude = lab["client1"].connect(SERVER)
    stored = b"%d" % rng.randrange(10**6, 10**9)
    ask(rude, put(b"stored", stored), b"OK\n")
    ask(rude, put(b"big", BIG), b"OK\n")
    program.freeze()
    # More than a buffer takes: the server cannot be through before it learns that nobody is there.
    rude.send(b"GET big\n" * 1000)
    kv1.leave(lab, rude)
    waiting = [lab["client2"].connect(SERVER_FROM_CLIENT2) for _ in range(3)]
    for client in waiting:
        client.send(b"GET stored\n")
        kv1.let_it_arrive(client)
    program.thaw()
    hint = "the listening socket and the store outlive every client; " + ERRORS
    for client in waiting:
        expect_answer(client, b"GET stored\n", value(stored), hint)
        client.close()


@pytest.mark.points(2)
@pytest.mark.parametrize(
    "when", ["in the middle of a request", "before its answers", "before accept()"]
)
def test_it_survives_a_reset(lab: Lab, submission: Submission, when: str) -> None:
    """it survives a client that resets the connection"""
    program = submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    if when == "before accept()":
        program.freeze()
        rude = lab["client1"].connect(SERVER)
        rude.send(b"GET k\n")
    else:
        rude = lab["client1"].connect(SERVER)
        ask(rude, put(b"k", b"1"), b"OK\n", "the store speaks KV/1, as in kv-iterative")
    if when == "before its answers":
        program.freeze()
        rude.send(b"GET k\n" * 3)
    if when == "in the middle of a request":
        rude.send(b"PUT k 10\nhalf")
    kv1.let_it_arrive(rude)
    kv1.reset(lab, rude)
    program.thaw()
    hint = f"the client sent RST {when}; recv() or send() fails with ECONNRESET: {ERRORS}"
    client = kv1.connected(program, lab, hint)
    kv1.expect_served(program, client, put(b"next", b"1"), b"OK\n", hint)


@pytest.mark.points(2)
def test_a_client_that_only_stops_sending_gets_its_answers(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """a client that only stops sending gets all its answers"""
    program = submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    client = lab["client1"].connect(SERVER)
    ask(client, put(b"big", BIG), b"OK\n", "the store speaks KV/1, as in kv-iterative")
    count = rng.randrange(5, 50)
    program.freeze()
    client.send(b"GET big\n" * count)
    kv1.finish(client)
    kv1.let_it_arrive(client)
    program.thaw()
    hint = (
        "FIN says that nothing more will be sent, not that nobody receives: answer every request "
        "that came before it, then close"
    )
    for _ in range(count):
        expect_answer(client, b"GET big\n", value(BIG), f"{count} requests came before FIN; {hint}")
    client.expect_end(hint=hint)
