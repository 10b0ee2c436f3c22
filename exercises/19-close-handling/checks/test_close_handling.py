"""Checks of close-handling. The contract is in README.md."""

import random

import pytest
import random1
from random1 import PORT, SERVER, SERVER_FROM_CLIENT2

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Submission,
    Tcp,
    Unmet,
    expect,
    expect_equal,
    machine_error,
    unmet,
    until,
)

ENDLESS = 64 << 20
"""More than any client here takes."""

PATIENCE_MS = 1000
LONG_PATIENCE_MS = 600_000
GIVEN_UP_WITHIN_S = 8.0
"""So a server that waits for the 10 s that it has without -t is too late for certain."""

SURVIVE = "what one client does ends its own connection, and neither the program nor another one"


def some_seed(rng: random.Random) -> int:
    return rng.randrange(2**31)


def start(submission: Submission, *more: str, port: int = PORT) -> Program:
    return submission.start("server", "random_server", "0.0.0.0", str(port), *more)


def expect_report(program: Program, port: int, reason: str, hint: str) -> None:
    """Wait for the line about a client of client1, and compare why it is gone."""
    name = f"10.0.1.2:{port}"
    wanted = f"closed {name}: {reason}"
    while True:
        try:
            line = program.line(expected=f"the line {wanted}")
        except Unmet as error:
            if program.is_running():
                unmet(error.expected, f"no line closed {name}: … came", hint)
            unmet(error.expected, f"the server {program.how_it_ended()}", hint)
        if line.startswith(f"closed {name}:"):
            break
    # Any text may follow, after a blank.
    words = line.partition(": ")[2].split(" ")
    said = " ".join(words[: len(reason.split(" "))])
    expect_equal(said, reason, f"the reason in the line closed {name}: …", hint)


def expect_next_served(lab: Lab, rng: random.Random) -> None:
    client = lab["client2"].connect(SERVER_FROM_CLIENT2, hint=SURVIVE)
    random1.fetch(client, some_seed(rng), 100_000, SURVIVE)


def drain(lab: Lab, client: Tcp) -> None:
    """Receive all that a frozen server has sent, also what its kernel still has."""
    port = client.address[1]
    client.socket.setblocking(False)

    def is_empty() -> bool:
        try:
            while client.socket.recv(65536):
                pass
        except BlockingIOError:
            pass
        queued = sum(s.send_q for s in lab["server"].sockets("tcp", port) if s.peer_port == port)
        return queued == 0 and client.unread == 0

    if not until(is_empty, 2 * WITHIN_S):
        raise machine_error("a server that is frozen goes on sending", where="check")


def begin(lab: Lab, rng: random.Random) -> Tcp:
    """Return a client who has asked for a long stream, and has received the first bytes of it."""
    client = lab["client1"].connect(SERVER)
    client.send(random1.request(some_seed(rng), ENDLESS))
    client.receive(1000, hint="send the stream piece by piece, from the start")
    return client


@pytest.mark.points(1)
def test_a_client_that_finishes_is_served_to_its_end(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """a client that asks, reads and finishes is served to its end: `end`"""
    program = start(submission)
    client = lab["client1"].connect(SERVER)
    port = client.address[1]
    hint = "after an answer wait for the next request; when recv() returns 0, close: `end`"
    random1.fetch(client, some_seed(rng), 100_000, hint)
    random1.fetch(client, some_seed(rng), 1000, hint)
    client.finish()
    rest = client.everything(hint=hint)
    expect_equal(rest, b"", "bytes after the last answer", hint)
    expect_report(program, port, "end", "one line for each client: closed ADDRESS:PORT: REASON")


@pytest.mark.needs("test_a_client_that_finishes_is_served_to_its_end")
@pytest.mark.points(1)
def test_a_client_that_sends_no_request_is_told_apart(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """a client that sends something else than a request: `no request`"""
    program = start(submission)
    for line in (b"HELLO", b"RANDOM 1", b"RANDOM x 100", b"RANDOM 1 100 7"):
        client = lab["client1"].connect(SERVER)
        port = client.address[1]
        random1.fetch(client, some_seed(rng), 1000, "a request as any other")
        client.send(line + b"\n")
        hint = f"{line.decode()} is no request: answer nothing, close, report it, and go on"
        rest = client.everything(hint=hint)
        expect_equal(rest, b"", f"bytes after the line {line.decode()}", hint)
        expect_report(program, port, "no request", hint)
    expect_next_served(lab, rng)


@pytest.mark.needs("test_a_client_that_finishes_is_served_to_its_end")
@pytest.mark.points(2)
def test_a_client_that_only_reads_gets_everything(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """a client that sends FIN right after its request gets the whole answer: `end`"""
    program = start(submission)
    seed, length = some_seed(rng), rng.randrange(1 << 20, 2 << 20)
    hint = (
        "FIN says that the client sends no more, not that it does not read any more: send all of "
        "the answer, then close"
    )
    # The request and FIN are there before the program sees either.
    program.freeze()
    client = lab["client1"].connect(SERVER)
    port = client.address[1]
    client.send(random1.request(seed, length))
    client.finish()
    until(lambda: random1.state(lab, port) == "CLOSE-WAIT", WITHIN_S)
    program.thaw()
    random1.expect_rest(client, random1.stream(seed, length), hint)
    client.expect_end(hint="after the answer to the last request close")
    expect_report(program, port, "end", hint)


@pytest.mark.needs("test_a_client_that_finishes_is_served_to_its_end")
@pytest.mark.points(2)
def test_a_client_that_leaves_bytes_unread_is_reported(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """the server survives a client that closes with bytes unread: `ECONNRESET`"""
    program = start(submission)
    client = random1.stall(lab, some_seed(rng), ENDLESS)
    random1.let_it_fill(lab, client)
    port = client.address[1]
    client.close()
    expect_report(
        program,
        port,
        "ECONNRESET",
        "its kernel sends RST, and your send() fails with ECONNRESET: catch it, close the "
        "connection, report it, and go on with the others",
    )
    expect_next_served(lab, rng)


@pytest.mark.needs(
    "test_a_client_that_only_reads_gets_everything",
    "test_a_client_that_leaves_bytes_unread_is_reported",
)
@pytest.mark.points(2)
def test_a_client_that_leaves_between_two_sends_is_reported(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """the server survives a client that has read all there was, and closes: `EPIPE`"""
    program = start(submission)
    client = begin(lab, rng)
    port = client.address[1]
    # While the server stands still its client reads everything, and leaves: FIN, and no RST.
    program.freeze()
    drain(lab, client)
    client.close()
    until(lambda: random1.state(lab, port) == "CLOSE-WAIT", WITHIN_S)
    program.thaw()
    expect_report(
        program,
        port,
        "EPIPE",
        "the first send() after its FIN succeeds and brings back RST; the next one raises SIGPIPE, "
        "which ends a program that does not ignore it, and then fails with EPIPE",
    )
    expect_next_served(lab, rng)


@pytest.mark.needs("test_a_client_that_leaves_bytes_unread_is_reported")
@pytest.mark.points(1)
def test_a_reset_while_waiting_is_reported(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """the server survives a reset while it waits for a request: `ECONNRESET`"""
    program = start(submission)
    client = lab["client1"].connect(SERVER)
    port = client.address[1]
    random1.fetch(client, some_seed(rng), 1000, SURVIVE)
    client.reset()
    expect_report(
        program,
        port,
        "ECONNRESET",
        "recv() can fail, too, and not only send(): handle its errors in the same way",
    )
    expect_next_served(lab, rng)


@pytest.mark.needs("test_a_client_that_leaves_bytes_unread_is_reported")
@pytest.mark.points(1)
def test_a_client_that_vanishes_is_given_up(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """the server gives up a client that vanishes without a word: `ETIMEDOUT`"""
    program = start(submission, "-t", str(PATIENCE_MS))
    client = begin(lab, rng)
    program.freeze()
    drain(lab, client)
    with lab.faults({"server->client1": [{"drop": {"match": "tcp"}}]}):
        program.thaw()
        hint = (
            "nobody acknowledges, and nobody says no: the kernel sends again for 15 minutes, unless "
            "TCP_USER_TIMEOUT says less; or limit how long you wait for room (poll, SO_SNDTIMEO)"
        )
        expect_given_up(lab, program, client, hint)
        expect_next_served(lab, rng)


TAKES_NOTHING = (
    "a client who is there and takes nothing is given up as well: TCP_USER_TIMEOUT, or your own "
    "limit on the wait for room"
)


def expect_given_up(lab: Lab, program: Program, client: Tcp, hint: str = TAKES_NOTHING) -> None:
    """Wait until a client who takes nothing has been given up; it has to be one of client1."""
    port = client.address[1]
    expect(
        until(lambda: random1.nobody_has(lab, port), GIVEN_UP_WITHIN_S),
        expected=f"the server gives up a client who has taken nothing for {PATIENCE_MS} ms",
        actual=f"its connection is still open after {GIVEN_UP_WITHIN_S:g} s",
        hint=hint,
    )
    expect_report(program, port, "ETIMEDOUT", hint)


@pytest.mark.needs("test_a_client_that_vanishes_is_given_up")
@pytest.mark.points(1)
def test_a_client_that_is_owed_nothing_is_not_given_up(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """a client for whom there is nothing is not given up, however long it says nothing"""
    program = start(submission, "-t", str(PATIENCE_MS))
    new, served = (lab["client1"].connect(SERVER) for _ in range(2))
    random1.fetch(served, some_seed(rng), 1000, SURVIVE)
    # MS are over for both when they are over for one who has connected after them.
    expect_given_up(lab, program, random1.stall(lab, some_seed(rng), ENDLESS))
    hint = (
        "MS count from when the client has last taken something, and only while there is something "
        "for it: a limit on recv() (settimeout() in Python) or on the whole connection drops those "
        "who think for a while"
    )
    for client in (new, served):
        # It fits into the client's buffer: its kernel takes it, whatever this check is kept from.
        random1.fetch(client, some_seed(rng), 20_000, hint)


@pytest.mark.needs("test_a_client_that_vanishes_is_given_up")
@pytest.mark.points(1)
def test_the_patience_is_what_t_says(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """a client that takes nothing is given up after MS, as `-t` says, and not before"""
    start(submission, "-t", str(LONG_PATIENCE_MS), port=PORT + 1)
    program = start(submission, "-t", str(PATIENCE_MS))
    seed = some_seed(rng)
    server = (SERVER_FROM_CLIENT2[0], PORT + 1)
    slow = random1.stall(lab, seed, ENDLESS, node="client2", server=server)
    # The slow one takes nothing for longer than these two together.
    for _ in range(2):
        expect_given_up(lab, program, random1.stall(lab, some_seed(rng), ENDLESS))
    hint = f"with -t {LONG_PATIENCE_MS} the server waits so long, and sends on when there is room"
    random1.expect_rest(slow, random1.stream(seed, 200_000), hint)


@pytest.mark.needs(
    "test_a_reset_while_waiting_is_reported",
    "test_a_client_that_leaves_between_two_sends_is_reported",
)
@pytest.mark.points(1)
def test_nothing_is_left_of_those_who_left(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """nothing is left of those who left: no socket, no thread, no process"""
    program = start(submission)
    # A program may keep some threads in store, so what counts is what the second ten add.
    for _ in range(10):
        leave_somehow(lab, program, rng)
    before = random1.sockets_held(program), program.threads()
    for _ in range(10):
        leave_somehow(lab, program, rng)

    def has_grown() -> tuple[int, int]:
        now = random1.sockets_held(program), program.threads()
        return now[0] - before[0], now[1] - before[1]

    until(lambda: max(has_grown()) < 5, WITHIN_S)
    sockets, threads = has_grown()
    expect(
        max(sockets, threads) < 5,
        expected="after ten clients have left the server has as many sockets and threads as before",
        actual=f"it has {sockets} more sockets, and {threads} more threads or processes",
        hint="close the connection however it ends, and let its thread or process end (a parent "
        "calls wait()); otherwise accept() fails one day with EMFILE",
    )


def leave_somehow(lab: Lab, program: Program, rng: random.Random) -> None:
    """Be a client that leaves in one of the ways, and wait until that is reported."""
    client = begin(lab, rng)
    port = client.address[1]
    match rng.choice(("unread", "reset", "drained")):
        case "unread":
            random1.let_it_fill(lab, client)
            client.close()
            reason = "ECONNRESET"
        case "reset":
            client.reset()
            reason = "ECONNRESET"
        case _:
            program.freeze()
            drain(lab, client)
            client.close()
            until(lambda: random1.state(lab, port) == "CLOSE-WAIT", WITHIN_S)
            program.thaw()
            reason = "EPIPE"
    expect_report(program, port, reason, SURVIVE)
