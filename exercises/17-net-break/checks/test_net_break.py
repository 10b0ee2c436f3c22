"""Checks of net-break. The contract is in README.md."""

import random
import re
from contextlib import suppress

import kv1
import pytest
from kv1 import BEHIND_THE_ROUTER, PORT, STORE, STORE_FROM_CLIENT2

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Submission,
    Unmet,
    expect,
    expect_equal,
    machine_error,
    unmet,
    until,
)

SHORT_MS = "1000"
"""In these checks nothing has to succeed in this time."""

LONG_MS = "20000"
"""Much longer than any check waits for what should come."""

DRIP_MS = "3000"
"""Longer than a check can be kept from sending the next byte."""

DROPPED_WITHIN_S = 16.0
"""How long a server may take that is to give up after 4 s."""

OVER = "when MS milliseconds are over: error: …: ETIMEDOUT on stderr, exit status 3"


def start(submission: Submission, wait_ms: str, port: int = PORT) -> Program:
    address = BEHIND_THE_ROUTER[0]
    return submission.start("client1", "kv_client", address, str(port), "-t", wait_ms, ready=False)


def expect_given_up(client: Program, hint: str) -> None:
    """Wait for the program to say that nobody answers."""
    ended = client.expect_exit(3, hint=hint)
    said = ended.stderr.decode(errors="backslashreplace").strip()
    expect(
        re.fullmatch(r"error: \w+: ETIMEDOUT\b.*", said),
        expected="on stderr: error: recv: ETIMEDOUT (…)",
        actual=f"on stderr: {said or 'nothing'}",
        hint="one line that names the call that waited, and ETIMEDOUT",
    )
    expect_equal(ended.stdout, b"", "stdout", "only answers go to stdout")


@pytest.mark.points(2)
def test_silence_after_a_cut_ends_it(lab: Lab, submission: Submission) -> None:
    """the client notices that the network is cut, and ends with exit status 3"""
    listener = lab["client2"].listen(PORT)
    client = start(submission, SHORT_MS)
    listener.accept()
    kv1.cut(lab)
    kv1.type_in(client, "get key")
    expect_given_up(
        client,
        f"{OVER}; the kernel goes on sending for a quarter of an hour, so keep the time yourself",
    )
    if lab.packets(f"tcp dst port {PORT} and {kv1.WITH_DATA}", received_by="client2"):
        raise machine_error("the network was cut, and a request came through", where="check")
    expect(
        kv1.copies_sent(lab, "client1", PORT),
        expected="the request is on the wire at client1",
        actual="it is not",
        hint="send the request; whether the network is broken shows only then",
    )


@pytest.mark.needs("test_silence_after_a_cut_ends_it")
@pytest.mark.points(1)
def test_a_connection_that_is_not_answered_ends_it(lab: Lab, submission: Submission) -> None:
    """the client does not wait for a connection any longer than it was told"""
    kv1.cut(lab)
    client = start(submission, SHORT_MS)
    expect_given_up(
        client,
        f"{OVER}; connect() waits, too: the kernel repeats SYN for about two minutes",
    )


@pytest.mark.needs("test_silence_after_a_cut_ends_it")
@pytest.mark.points(1)
@pytest.mark.parametrize("drips", [False, True], ids=["no byte of it", "byte by byte"])
def test_an_answer_that_does_not_end_ends_it(lab: Lab, submission: Submission, drips: bool) -> None:
    """the client waits no longer for an answer that does not end, though the network works"""
    listener = lab["client2"].listen(PORT)
    client = start(submission, DRIP_MS if drips else SHORT_MS)
    server = listener.accept()
    kv1.type_in(client, "get key")
    kv1.expect_command(server, b"GET key\n", "one request for each command")
    if not drips:
        expect_given_up(
            client,
            "here the request has arrived, and its ACK has come back: no timer of the kernel runs; "
            "limit the wait for the answer yourself",
        )
        return

    def sends_one_more_byte() -> bool:
        if not client.is_running():
            return True
        with suppress(Unmet):  # it may be about to end
            server.send(b"x")
        return False

    server.send(b"VALUE 4096\n")
    hint = (
        "each recv() here returns soon, with one byte: take the time when the request is sent, and "
        "give each recv() what is left of MS"
    )
    expect(
        until(sends_one_more_byte, 2 * WITHIN_S),
        expected=f"the program ends after {DRIP_MS} ms without a whole answer",
        actual=f"after {2 * WITHIN_S:g} s of an answer that comes byte by byte it is still running",
        hint=hint,
    )
    expect_given_up(client, hint)


@pytest.mark.needs("test_silence_after_a_cut_ends_it")
@pytest.mark.points(2)
def test_a_short_cut_is_survived(lab: Lab, submission: Submission) -> None:
    """a cut shorter than that does no harm: one request, one answer, one connection"""
    listener = lab["client2"].listen(PORT)
    client = start(submission, LONG_MS)
    server = listener.accept()
    kv1.cut(lab)
    kv1.type_in(client, "put key value")
    # The request, and three times again: about a second.
    until(lambda: kv1.copies_sent(lab, "client1", PORT) >= 4 or not client.is_running(), WITHIN_S)
    if not client.is_running():
        unmet(
            f"the program waits for up to {LONG_MS} ms",
            f"after about a second it {client.how_it_ended()}",
            "the number after -t says how long, and is in milliseconds",
        )
    kv1.mend(lab)

    once = (
        "send each request once and on one connection: what is lost TCP sends again, and it "
        "arrives; a second copy of yours is a second request"
    )
    kv1.expect_command(server, b"PUT key 5\nvalue\n", once)
    server.send(b"OK\n")
    client.expect_line("OK", hint=f"-t {LONG_MS} is 20 s: the answer comes late, and in time")
    kv1.type_in(client, "get key")
    kv1.expect_command(server, b"GET key\n", once)
    server.send(b"NOTFOUND\n")
    client.expect_line("NOTFOUND", hint=once)
    client.end_input()
    rest = server.everything(hint="at the end of the input send QUIT, and end")
    expect_equal(rest, b"QUIT\n", "what is sent after the last answer", once)
    client.expect_exit(0, hint="all is well: exit status 0")
    syn = "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn"
    # Ports and sequence number: a SYN that the kernel sends again is no other connection.
    connections = {seen.frame[34:42] for seen in lab.packets(syn, sent_by="client1")}
    expect_equal(len(connections), 1, "connections", once)


@pytest.mark.needs("test_an_answer_that_does_not_end_ends_it", "test_a_short_cut_is_survived")
@pytest.mark.points(1)
def test_the_time_begins_anew_with_each_command(lab: Lab, submission: Submission) -> None:
    """the time begins anew with each command, and does not run while there is none"""
    listener = lab["client2"].listen(PORT)
    client = start(submission, "3000")
    server = listener.accept()
    answer_one(client, server)

    # A second client shows that the time of the first would be over.
    silent = lab["client2"].listen(PORT + 1)
    other = start(submission, "3500", PORT + 1)
    silent.accept()
    kv1.type_in(other, "get key")
    other.expect_exit(3, hint=OVER, within_s=4 * WITHIN_S)

    answer_one(client, server)


def answer_one(client: Program, server: kv1.Tcp) -> None:
    hint = "take the time when you send a request, not at the start; who types may be slow"
    kv1.type_in(client, "count")
    try:
        kv1.expect_command(server, b"COUNT\n", hint)
        server.send(b"COUNT 7\n")
        client.expect_line("COUNT 7", hint=hint)
    except Unmet as error:
        if client.is_running():
            raise
        unmet(error.expected, f"the program {client.how_it_ended()}", hint)


@pytest.mark.needs("test_silence_after_a_cut_ends_it", "test_a_short_cut_is_survived")
@pytest.mark.points(1)
@pytest.mark.parametrize("fault", ["refused", "closed"])
def test_only_silence_is_exit_status_3(lab: Lab, submission: Submission, fault: str) -> None:
    """a server that refuses or closes is no silence: exit status 1, at once"""
    hint = "exit status 3 is for ETIMEDOUT alone; what the other end says is an answer"
    if fault == "refused":
        client = start(submission, LONG_MS)
    else:
        listener = lab["client2"].listen(PORT)
        client = start(submission, LONG_MS)
        server = listener.accept()
        kv1.type_in(client, "count")
        kv1.expect_command(server, b"COUNT\n", "one request for each command")
        server.close()
    ended = client.expect_exit(1, hint=hint)
    said = ended.stderr.decode(errors="backslashreplace").strip()
    wanted = "error: connect: ECONNREFUSED" if fault == "refused" else "error: "
    expect(
        said.startswith(wanted) and said.count("\n") == 0,
        expected=f"one line on stderr: {wanted.strip()} …",
        actual=f"on stderr: {said or 'nothing'}",
        hint="say which call failed, and the name of errno",
    )


@pytest.mark.points(1)
def test_a_dead_client_is_dropped(lab: Lab, submission: Submission) -> None:
    """the server probes a silent connection, and drops it when nobody is there"""
    submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    # From the start: whatever the server does when nobody is there, it does not before this.
    with lab.faults({"server->client1": [{"drop": {"match": kv1.PROBE}}]}):
        dead = lab["client1"].connect(STORE)
        kv1.ask(dead, b"COUNT\n", b"COUNT 0\n", "a request is answered, as in kv-iterative")
        waiting = lab["client2"].connect(STORE_FROM_CLIENT2)
        waiting.send(b"PUT key 5\nvalue\n")
        port = dead.address[1]
        before = kv1.probes(lab, port, sent_by="server")
        expect(
            until(lambda: kv1.probes(lab, port, sent_by="server") > before, DROPPED_WITHIN_S / 2),
            expected="after 1 s of silence the server's kernel sends a keepalive probe",
            actual=f"none is on the wire after {DROPPED_WITHIN_S / 2:g} s",
            hint="on each accepted socket: SO_KEEPALIVE, and TCP_KEEPIDLE, whose default is 2 hours",
        )
        hint = (
            "TCP_KEEPINTVL and TCP_KEEPCNT say how often it probes; recv() then fails with "
            "ETIMEDOUT: close this connection and take the next"
        )
        expect_dropped(lab, port, "some 4 s after its last sign of life", hint)
        kv1.expect_answer(waiting, b"PUT key\n", b"OK\n", hint)


def expect_dropped(lab: Lab, port: int, when: str, hint: str) -> None:
    expect(
        until(lambda: kv1.has_dropped(lab, port), DROPPED_WITHIN_S),
        expected=f"the server closes the connection of a dead client {when}",
        actual=f"it is still open {DROPPED_WITHIN_S:g} s later",
        hint=hint,
    )


@pytest.mark.points(1)
def test_a_client_that_dies_before_its_answer_is_dropped(lab: Lab, submission: Submission) -> None:
    """the server drops a client that dies while an answer is on its way"""
    program = submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    dead = lab["client1"].connect(STORE)
    waiting = lab["client2"].connect(STORE_FROM_CLIENT2)
    waiting.send(b"PUT key 5\nvalue\n")
    port = dead.address[1]

    # The request arrives; before the program can see it, the way back goes dark.
    program.freeze()
    dead.send(b"COUNT\n")
    kv1.let_it_be_acknowledged(dead)
    answer = {"drop": {"match": f"tcp dst port {port} and {kv1.WITH_DATA}"}}
    with lab.faults({"server->client1": [answer]}):
        program.thaw()
        hint = (
            "while bytes are not acknowledged no keepalive probe is sent: they are sent again, for "
            "about 15 minutes; TCP_USER_TIMEOUT ends that"
        )
        expect_dropped(lab, port, "4 s after it sent the answer for the first time", hint)
        kv1.expect_answer(waiting, b"PUT key\n", b"OK\n", hint)


@pytest.mark.needs("test_a_dead_client_is_dropped")
@pytest.mark.points(1)
def test_a_living_client_is_kept(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """the server keeps a living client that says nothing, also when one probe is lost"""
    submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    kv1.ask_once(lab)
    # The first may be the ACK of the request; what comes behind that is a probe.
    lost = {"drop": {"match": kv1.PROBE, "packets": [rng.randrange(2, 4)]}}
    with lab.faults({"server->client1": [lost]}):
        client = lab["client1"].connect(STORE)
        kv1.ask(client, b"COUNT\n", b"COUNT 0\n", "a request is answered, as in kv-iterative")
        port = client.address[1]
        before = kv1.probes(lab, port, received_by="client1")
        # With the one that is lost these take 7 s, and after 4 s a dead one is dropped.
        until(
            lambda: (
                kv1.probes(lab, port, received_by="client1") >= before + 6
                or kv1.has_dropped(lab, port)
            ),
            DROPPED_WITHIN_S,
        )
        expect(
            not kv1.has_dropped(lab, port),
            expected="the connection stays: the client's kernel answers the probes",
            actual="the server has closed it",
            hint="silence is no sign, and neither is one lost probe: no timeout for recv(), and three "
            "probes before the kernel gives up (TCP_KEEPCNT, and TCP_USER_TIMEOUT no shorter)",
        )
        kv1.ask(client, b"COUNT\n", b"COUNT 0\n", "the connection is as good as before")
