"""Checks of broken-framed. The contract is in README.md."""

import random
import time
from itertools import count

import framed_peer
import pytest
from framed_peer import (
    ACK,
    DATA,
    ERROR,
    GOODBYE,
    HELLO,
    PORT,
    SERVER,
    beat,
    expect_closed,
    expect_frame,
    frame,
    held,
    welcomed,
)

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Submission,
    Unmet,
    expect,
    expect_equal,
    machine_error,
    until,
)

SUM = (
    "which number does the loop over the bytes end at, and in which byte order is it? gdb or "
    "-fsanitize=address shows where it dies"
)


def serve(submission: Submission, *options: str, port: int = PORT) -> Program:
    return submission.start("server", "proto_server", "0.0.0.0", str(port), *options)


@pytest.mark.points(2)
def test_the_server_adds_up_the_right_bytes(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """the server takes frames with a payload whose sum is right, and no others"""
    serve(submission)
    client = welcomed(lab)
    for seq, kind in enumerate((HELLO, DATA, DATA), start=2):
        client.send(frame(kind, seq, rng.randbytes(rng.choice((1, 18, 1024)))), hint=SUM)
        expect_frame(client, ACK, seq, b"", SUM)
    client.send(frame(77, 5, b"what is this?"))
    expect_frame(client, ERROR, 5, b"unknown type", SUM)
    client.send(frame(DATA, 6, b"damaged", wrong_by=1))
    hint = "a frame with a wrong sum ends the connection: nothing of it may be believed"
    expect_equal(client.error(1.0), "", "error when the server closes", hint)
    expect_closed(lab, client.address[1], hint)
    welcomed(lab, "one client that sends nonsense is no reason to end")


@pytest.mark.points(1)
def test_the_client_adds_up_the_right_bytes(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """the client sends frames whose sum is right"""
    listener = lab["server"].listen(PORT)
    client = submission.start("client", "proto_client", *map(str, SERVER), ready=False)
    lines = [b"Data message #1", b"", b"x" * rng.randrange(1, 1025)]
    # It may have died by now of what it wanted to send first.
    client.write(b"".join(line + b"\n" for line in lines), hint=SUM)
    client.end_input()
    server = listener.accept(hint=SUM)
    frames = [(HELLO, b"Hello from client!"), *((DATA, line) for line in lines), (GOODBYE, b"")]
    for seq, (kind, payload) in enumerate(frames, start=1):
        expect_frame(server, kind, seq, payload, SUM)
        server.send(frame(ACK, seq), hint=SUM)
    client.expect_exit(0, hint=SUM)


@pytest.mark.needs("test_the_client_adds_up_the_right_bytes")
@pytest.mark.points(2)
def test_the_client_reads_every_ack(lab: Lab, submission: Submission) -> None:
    """the client reads the ACK of each frame before it sends the next, and leaves without RST"""
    listener = lab["server"].listen(PORT)
    client = submission.start("client", "proto_client", *map(str, SERVER), ready=False)
    hint = "count the frames that are sent and the ACKs that are read: who answers HELLO?"
    client.write(b"one\ntwo\n", hint=hint)
    client.end_input()
    server = listener.accept(hint=hint)
    frames = [(HELLO, b"Hello from client!"), (DATA, b"one"), (DATA, b"two"), (GOODBYE, b"")]
    for seq, (kind, payload) in enumerate(frames, start=1):
        expect_frame(server, kind, seq, payload, hint)
        # What it sends without waiting, it sends before it sleeps in recv().
        until(lambda: client.is_asleep() or not client.is_running(), WITHIN_S)
        expect_equal(server.unread, 0, f"bytes that come before the ACK of frame {seq}", hint)
        server.send(frame(ACK, seq), hint=hint)
    # The last ACK is either taken or refused.
    until(lambda: not server.unacknowledged or resets(lab), WITHIN_S)
    server.expect_end(hint=hint)
    client.expect_exit(0, hint="all is well: exit status 0")
    expect_equal(resets(lab), 0, "segments with RST that the client sent", hint)


def resets(lab: Lab) -> int:
    return len(lab.packets("tcp[tcpflags] & tcp-rst != 0", sent_by="client"))


@pytest.mark.needs("test_the_server_adds_up_the_right_bytes")
@pytest.mark.points(2)
def test_a_slow_client_holds_up_nobody(lab: Lab, submission: Submission) -> None:
    """a client that stalls in a frame holds up none of the others"""
    serve(submission)
    others = [welcomed(lab) for _ in range(2)]
    slow = frame(DATA, 2, b"comes late")
    hint = (
        "poll() says that a socket has some bytes, MSG_WAITALL waits for all of them: take what is "
        "there into a buffer of this client, and handle a frame when it is whole"
    )
    for seq, cut in enumerate((5, 24, 30), start=2):
        stalled = welcomed(lab, hint)
        stalled.send(slow[:cut])
        framed_peer.let_it_be_received(lab, stalled)
        for other in others:
            beat(other, seq, hint)
        stalled.send(slow[cut:] + frame(DATA, 3, b"and one more") + slow[:20])
        for number in (2, 3):
            expect_frame(stalled, ACK, number, b"", hint)
        stalled.send(slow[20:])
        expect_frame(stalled, ACK, 4, b"", hint)


@pytest.mark.needs("test_the_server_adds_up_the_right_bytes")
@pytest.mark.points(1)
def test_whoever_leaves_makes_room(lab: Lab, submission: Submission) -> None:
    """whoever leaves makes room for another"""
    serve(submission, "-n", "3")
    stays, *clients = [welcomed(lab) for _ in range(3)]
    for number in range(4):
        client = clients.pop(0)
        port = client.address[1]
        if number % 2:
            client.send(frame(GOODBYE, 2))
            hint = "GOODBYE is answered with ACK, then FIN"
            expect_frame(client, ACK, 2, b"", hint)
            client.expect_end(hint=hint)
        client.close()
        hint = "the place of a client that has left can be used again"
        expect_closed(lab, port, hint)
        clients.append(welcomed(lab, hint))
        beat(stays, number + 2, "who stays is not touched")


@pytest.mark.needs("test_the_server_adds_up_the_right_bytes")
@pytest.mark.points(1)
def test_one_too_many_is_closed(lab: Lab, submission: Submission) -> None:
    """a client too many is closed at once, and costs no descriptor"""
    serve(submission, "-n", "2")
    clients = [welcomed(lab) for _ in range(2)]
    hint = "accept() has made a descriptor: whoever does not keep it has to close it"
    for seq in range(2, 8):
        refused = lab["client"].connect(SERVER, hint=hint)
        for client in clients:
            beat(client, seq, hint)
        expect_closed(lab, refused.address[1], hint)
    until(lambda: len(held(lab)) == 2, WITHIN_S)
    expect_equal(len(held(lab)), 2, "connections that the server has open", hint)


@pytest.mark.needs("test_the_server_adds_up_the_right_bytes")
@pytest.mark.points(1)
def test_an_idle_client_is_closed(lab: Lab, submission: Submission) -> None:
    """a client that is silent for too long is closed, also while another is busy"""
    for port, idle_s in ((PORT, 1), (PORT + 1, 4)):  # longer where the check itself has pauses
        serve(submission, "-i", str(idle_s * 1000), port=port)
        if idle_client_is_closed(lab, port, idle_s):
            return
    raise machine_error(f"the check cannot be busy for a while without a pause of {idle_s} s")


def idle_client_is_closed(lab: Lab, port: int, idle_s: float) -> bool:
    """Be busy until the idle client is closed; return whether there was no pause in between.

    In a pause as long as that the server is right to close whoever is busy, and a server that looks
    for the idle only when all is quiet has found them.
    """
    pause_s = 0.9 * idle_s  # a server may count in whole milliseconds
    since_s = began_s = start_s = time.monotonic()
    try:
        busy, idle = welcomed(lab, port=port), welcomed(lab, port=port)
        for seq in count(2):
            has_left = idle.address[1] not in held(lab, port)
            since_s, began_s = began_s, time.monotonic()
            beat(busy, seq, "a client that sends frames is not idle")
            # From before the last frame but one until this one was there.
            if time.monotonic() - since_s >= pause_s:
                return False
            if has_left or began_s - start_s > idle_s + WITHIN_S:
                break
    except Unmet:
        # A server that does not answer at all is waited for much longer.
        if not pause_s <= time.monotonic() - since_s < WITHIN_S:
            raise
        return False
    expect(
        has_left,
        expected=f"a silent client is closed after {idle_s:g} s",
        actual=f"{WITHIN_S:g} s later it is not",
        hint="when does the server look for silent clients, and does that moment come while another "
        "one sends all the time?",
    )
    return True
