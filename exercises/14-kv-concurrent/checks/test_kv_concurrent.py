"""Checks of kv-concurrent. The contract is in README.md."""

import random

import kv1
import pytest
from kv1 import PORT, ask, expect_answer, put, value

from labctl.testing import WITHIN_S, Lab, Submission, expect, expect_equal, until

CLIENTS = 50
"""So many the brief asks for."""

AT_ONCE = (
    f"{CLIENTS} are to be served at the same time, so go back to accept() at once, hold no lock while "
    f"you receive, and have no pool or table for fewer"
)
ONE_WAITS = (
    f"{CLIENTS - 1} clients have sent half a request each and no more: wherever the server waits for "
    f"the rest, it must not keep the last one waiting, also where a pool of threads carries out the "
    f"requests; and what has come of a request belongs to its connection alone"
)


@pytest.mark.points(5)
def test_a_stalled_client_holds_up_nobody(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """clients that stall in the middle of a request hold up none of the others"""
    submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    clients = []
    for number in range(CLIENTS):
        client = kv1.connect_from(lab, number)
        # Served already: whatever is made for each client has been made, and no backlog is full.
        ask(client, b"COUNT\n", b"COUNT 0\n", f"client {number + 1} has come: {AT_ONCE}")
        clients.append(client)
    other = clients.pop(rng.randrange(CLIENTS))
    request = put(b"slow", b"a value that comes late")
    # Not right behind the line, where nothing is left over in the server's buffer.
    cuts = [cut for cut in range(1, len(request)) if not request[:cut].endswith(b"\n")]
    for client in clients:
        client.send(request[: rng.choice(cuts)])
    kv1.let_it_be_received(lab, *clients, within_s=WITHIN_S)

    for _ in range(2):
        key, content = b"port-%d" % other.address[1], b"%d" % rng.randrange(10**9)
        ask(other, put(key, content), b"OK\n", ONE_WAITS)
        ask(other, b"GET %b\n" % key, value(content), ONE_WAITS)


@pytest.mark.needs("test_a_stalled_client_holds_up_nobody")
@pytest.mark.points(2)
def test_all_clients_share_one_store(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """what one client stores the others find, at once"""
    submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    clients = kv1.connect(lab, 4)
    hint = (
        "all clients use one store: after fork() each process has a copy of its own, threads share "
        "it, and so does a loop that serves all"
    )
    # Connected and served already: whatever is made for each client has been made.
    for client in clients:
        ask(client, b"COUNT\n", b"COUNT 0\n", hint)
    for number, client in enumerate(clients):
        content = b"%d" % rng.randrange(10**9)
        ask(client, put(b"k", content), b"OK\n", hint)
        ask(client, put(b"k%d" % number, content), b"OK\n", hint)
        for other in rng.sample(clients, len(clients)):
            ask(other, b"GET k\n", value(content), hint)
            ask(other, b"COUNT\n", b"COUNT %d\n" % (number + 2), hint)
    first, second = rng.sample(clients, 2)
    ask(first, b"DEL k\n", b"OK\n", hint)
    ask(second, b"GET k\n", b"NOTFOUND\n", hint)


@pytest.mark.needs("test_all_clients_share_one_store")
@pytest.mark.points(1)
def test_nobody_sees_half_a_value(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """nobody sees half a value: a request is carried out when it is complete"""
    program = submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    writer, reader = kv1.connect(lab, 2)
    old, new = (b"%d" % rng.randrange(10**9, 10**10) for _ in range(2))
    writer_port = writer.address[1]
    ask(reader, put(b"k", old), b"OK\n")
    writer.send(put(b"k", new)[: -rng.randrange(2, len(new))])
    kv1.let_it_be_received(lab, writer, within_s=WITHIN_S)
    # What the server does because of it is done when all of its threads wait.
    until(program.is_asleep, WITHIN_S)
    ask(
        reader,
        b"GET k\n",
        value(old),
        "another client has sent a PUT of this key with a part of its value: leave the store as it "
        "is until the whole request is there, then put the value in at once",
    )
    writer.close()
    until(lambda: kv1.has_closed(lab, writer_port), WITHIN_S)
    for request, wanted in ((b"GET k\n", value(old)), (b"COUNT\n", b"COUNT 1\n")):
        ask(
            reader,
            request,
            wanted,
            "the other client has left in the middle of its value (recv() returned 0): such a "
            "request is never complete, so throw away what has come of it",
        )


@pytest.mark.needs("test_all_clients_share_one_store")
@pytest.mark.points(1)
def test_requests_in_pieces_do_not_mix(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """pieces of several clients' requests do not mix, and the stalled one is served in the end"""
    submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    hint = (
        "what has been received belongs to its connection: a buffer for each, none that is shared"
    )
    clients = kv1.connect(lab, 4)
    contents = [b"%d" % rng.randrange(10**6, 10**9) for _ in clients]
    requests = [put(b"k%d" % number, content) for number, content in enumerate(contents)]
    queues = [kv1.pieces(request, rng.sample(range(1, len(request)), 4)) for request in requests]
    while any(queues):
        for client, queue in rng.sample(list(zip(clients, queues, strict=True)), len(clients)):
            if queue:
                client.send(queue.pop(0), hint=hint)
                kv1.let_it_be_received(lab, client)
    for client, request in zip(clients, requests, strict=True):
        expect_answer(client, request, b"OK\n", hint)
    for number, content in enumerate(contents):
        ask(rng.choice(clients), b"GET k%d\n" % number, value(content), hint)


@pytest.mark.points(1)
def test_a_client_that_left_leaves_nothing_behind(lab: Lab, submission: Submission) -> None:
    """a client that has left leaves nothing behind: no socket, no process"""
    program = submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    before = len(program.pids())
    hint = "KV/1 as in kv-iterative"
    for number in range(30):
        [client] = kv1.connect(lab, 1)
        ask(client, b"COUNT\n", b"COUNT 0\n", hint)
        if number % 3:
            client.close()
        else:
            client.reset()

    def left() -> int:
        # A server may be the one that closes first, and then has TIME-WAIT for a minute.
        states = [s.state for s in lab["server"].sockets("tcp", PORT)]
        return sum(state not in ("LISTEN", "TIME-WAIT") for state in states)

    expect(
        until(lambda: left() == 0, WITHIN_S),
        expected="no sockets of the 30 clients that have left",
        actual=f"{left()} of them are open, as `ss -tan` shows",
        hint="recv() returned 0: close the socket, in every thread or process that has it open",
    )
    # One that ended last may be waited for when the next client comes.
    most = before + 2
    if not until(lambda: len(program.pids()) <= most, WITHIN_S):
        expect_equal(
            len(program.pids()) - before,
            0,
            "processes that 30 clients have left behind",
            "a child that has ended stays as a zombie until its parent calls waitpid(); or "
            "signal(SIGCHLD, SIG_IGN)",
        )
