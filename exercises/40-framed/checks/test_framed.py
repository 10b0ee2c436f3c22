"""Checks of framed. The contract is in README.md."""

import random
import re
import time
from contextlib import suppress

import frame1
import pytest
from frame1 import (
    ACK,
    DATA,
    ERROR,
    GOODBYE,
    HEARTBEAT,
    HELLO,
    PORT,
    SERVER,
    expect_frame,
    frame,
    greet,
)

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
    until,
)


def serve(submission: Submission, *options: str, port: int = PORT) -> Program:
    return submission.start("server", "frame_server", "0.0.0.0", str(port), *options)


@pytest.mark.points(1)
def test_the_answers_have_the_layout(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """the server's answers have the layout of FRAME/1"""
    serve(submission)
    clients = [lab["client"].connect(SERVER) for _ in range(2)]
    for seq in (1, 2, 3):
        for client in clients:
            size = rng.randrange(1, frame1.MOST + 1)
            kind, answer = rng.choice([(DATA, ACK), (HEARTBEAT, HEARTBEAT)])
            if seq == 1:
                kind, answer = HELLO, ACK
            client.send(frame(kind, seq, rng.randbytes(size), ts=rng.randrange(2**64)))
            expect_frame(client, answer, seq)
    for client in clients:
        client.send(frame(GOODBYE, 4))
        expect_frame(client, ACK, 4)
        client.expect_end(hint="after the ACK of GOODBYE the server closes")


@pytest.mark.needs("test_the_answers_have_the_layout")
@pytest.mark.points(1)
def test_goodbye_gets_the_last_answer(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """frames of any flags and seq are answered, and none after GOODBYE"""
    serve(submission)
    client = greet(lab)
    for seq, flags in enumerate((1, 0x8000, rng.randrange(2, 2**15)), start=2):
        client.send(frame(DATA, rng.randrange(2**32), b"data", flags=flags))
        expect_frame(client, ACK, seq, hint="flags and seq of what comes are not checked")
    client.send(frame(GOODBYE, 5) + frame(HEARTBEAT, 6))
    expect_frame(client, ACK, 5)
    rest = client.everything(hint="after the ACK of GOODBYE comes FIN")
    hint = "what has come behind GOODBYE is thrown away, also when one recv() has given both"
    expect_equal(rest, b"", "bytes after the ACK of GOODBYE", hint)


@pytest.mark.needs("test_the_answers_have_the_layout")
@pytest.mark.points(1)
def test_frames_come_split_and_merged(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """frames come in pieces, and several at once"""
    serve(submission)
    client = greet(lab)
    hint = (
        "recv() gives what has come, from one byte to several frames: append it to a buffer of this "
        "client, and take frames from there as long as there is a whole one"
    )
    payload = rng.randbytes(100)
    data = frame(DATA, 2, payload)
    for seq, cut in enumerate((1, 23, 24, rng.randrange(2, 23), 25, len(data) - 1), start=2):
        client.send(data[:cut])
        frame1.let_it_be_received(lab, client)
        client.send(data[cut:])
        expect_frame(client, ACK, seq, hint=hint)
    several = b"".join(frame(DATA, seq, payload * (seq % 9)) for seq in range(8, 48))
    cut = len(several) - rng.randrange(1, 24)
    client.send(several[:cut])
    for seq in range(8, 47):
        expect_frame(client, ACK, seq, hint=hint)
    client.send(several[cut:])
    expect_frame(client, ACK, 47, hint=hint)


@pytest.mark.needs("test_the_answers_have_the_layout")
@pytest.mark.points(1)
def test_an_unknown_type_ends_nothing(lab: Lab, submission: Submission) -> None:
    """a frame of an unknown type is answered with ERROR, and the connection goes on"""
    serve(submission)
    client = greet(lab)
    hint = "its length is known, so the next frame can be found: answer ERROR and go on"
    for seq, kind in enumerate((0, 7, 255, ACK, ERROR), start=2):
        client.send(frame(kind, seq, b"what is this?"))
        expect_frame(client, ERROR, seq, None, hint)
    client.send(frame(HEARTBEAT, 7))
    expect_frame(client, HEARTBEAT, 7, hint=hint)


@pytest.mark.needs("test_an_unknown_type_ends_nothing")
@pytest.mark.points(2)
def test_a_broken_frame_is_told_and_ends_it(lab: Lab, submission: Submission) -> None:
    """a broken frame is answered with ERROR, and ends the connection without a reset"""
    program = serve(submission)
    broken = {
        "a frame of version 2": frame(DATA, 2, b"data", version=2),
        "a header of version 0": frame(DATA, 2, version=0),
        "a header with len 1025": frame(DATA, 2, length=1025),
        "a header with len 4294967295": frame(DATA, 2, length=2**32 - 1),
        "a frame whose sum is 1 too much": frame(DATA, 2, b"data", wrong_by=1),
        "a frame of which one byte has changed": frame(DATA, 2, b"data").replace(b"at", b"bt"),
    }
    for what, data in broken.items():
        client = greet(lab)
        client.send(data)
        hint = f"{what}: version and len are judged when the header is there, sum with the payload"
        expect_frame(client, ERROR, 2, None, hint)
        rest = client.everything(hint="after the ERROR comes FIN; nothing else is answered")
        expect_equal(rest, b"", f"bytes after the ERROR, for {what}", hint)
        client.close()

    # Much more than one recv() takes: a server that closes at once leaves some of it unread.
    client = greet(lab)
    program.freeze()
    client.send(frame(DATA, 2, b"data", version=2) + frame(HEARTBEAT, 3) * 2000)
    until(lambda: client.unacknowledged == 0, WITHIN_S)
    program.thaw()
    hint = (
        "close() with bytes unread sends RST instead of FIN, and RST may destroy the ERROR on its "
        "way: shutdown(SHUT_WR), then recv() until the client's FIN, then close()"
    )
    expect_frame(client, ERROR, 2, None, hint)
    client.expect_end(hint=hint)
    client.send(frame(HEARTBEAT, 4))
    frame1.let_it_be_received(lab, client)
    expect_equal(frame1.resets(lab, "server"), 0, "segments with RST that the server sent", hint)
    client.close()
    greet(lab, "one client that talks nonsense is no reason to stop")


@pytest.mark.needs("test_frames_come_split_and_merged")
@pytest.mark.points(1)
def test_a_slow_client_holds_up_nobody(lab: Lab, submission: Submission) -> None:
    """a client that stalls in a frame, or does not read, holds up none of the others"""
    # So that the buffers between the server and a client that does not read are soon full.
    lab["server"].set("net.ipv4.tcp_wmem", "4096 8192 16384")
    program = serve(submission)
    others = [greet(lab) for _ in range(3)]
    slow = frame(DATA, 2, b"comes late")
    stalled = {cut: greet(lab) for cut in (5, 24, 30)}
    for cut, client in stalled.items():
        client.send(slow[:cut])
        frame1.let_it_be_received(lab, client)
    hint = (
        "no call may wait for one client: a socket that is readable has some bytes, not a frame "
        "(MSG_WAITALL waits for all of it)"
    )
    for seq in (2, 3):
        for other in others:
            other.send(frame(DATA, seq, b"data"))
            expect_frame(other, ACK, seq, hint=hint)
    for cut, client in stalled.items():
        client.send(slow[cut:])
        expect_frame(client, ACK, 2, hint="the rest of a frame may come at any time")

    deaf = lab["client"].connect(SERVER, receive_buffer=4096)
    hint = (
        "send() waits when the client does not read: O_NONBLOCK, keep what could not be sent, and "
        "go on when the socket is writable"
    )
    # There before the program goes on: more than twice as many as there is room for their answers.
    program.freeze()
    deaf.send(frame(HEARTBEAT, 1) * 2000, hint=hint)
    until(lambda: deaf.unacknowledged == 0, WITHIN_S)
    program.thaw()
    unsent = memoryview(frame(HEARTBEAT, 1) * 1000)
    for seq in range(4, 34):
        unsent = unsent[frame1.sent_now(deaf, unsent) :]
        for other in others:
            other.send(frame(DATA, seq, b"data"))
            expect_frame(other, ACK, seq, hint=hint)
    hint = "what send() has not taken is still to be sent: all of it, or the rest of it"
    for seq in range(1, 2001):
        expect_frame(deaf, HEARTBEAT, seq, hint=hint)


DROP_EVERY_S = 0.02


@pytest.mark.needs("test_a_slow_client_holds_up_nobody")
@pytest.mark.points(1)
def test_an_idle_client_is_closed(lab: Lab, submission: Submission) -> None:
    """a client from which no whole frame comes is closed, also while others are busy"""
    for port, idle_s in ((PORT, 1), (PORT + 1, 4)):  # longer where the check itself has pauses
        serve(submission, "-i", str(idle_s * 1000), port=port)
        if idle_clients_are_closed(lab, port, idle_s):
            return
    raise machine_error(f"the check cannot be busy for a while without a pause of {idle_s} s")


def idle_clients_are_closed(lab: Lab, port: int, idle_s: float) -> bool:
    """Be busy until the idle are closed; return whether there was no pause in between.

    In a pause as long as that the server is right to close whoever is busy, and a server that looks
    for the idle only when all is quiet has found them.
    """
    pause_s = 0.9 * idle_s  # a server may count in whole milliseconds
    since_s = began_s = start_s = time.monotonic()
    try:
        busy, idle, dripping, stays = (greet(lab, port=port) for _ in range(4))
        stays.send(frame(GOODBYE, 2))
        expect_frame(stays, ACK, 2)
        left = {"that is silent": idle, "from which single bytes come": dripping}
        seq = 1
        # A thousand bytes: the frame is not whole before all is over.
        for drop in frame(DATA, 2, bytes(frame1.MOST)):
            since_s, began_s = began_s, time.monotonic()
            with suppress(OSError):  # closed, as it should be: seen below
                dripping.socket.send(bytes([drop]))
            seq = beat(busy, seq, DROP_EVERY_S)
            # From before the last drop but one until after this one was there.
            if time.monotonic() - since_s >= pause_s:
                return False
            left = {who: client for who, client in left.items() if not frame1.has_ended(client)}
            if not left or began_s - start_s > idle_s + WITHIN_S:
                break
        expect(
            not left,
            expected=f"a client {' or '.join(left)} is closed after {idle_s:g} s",
            actual=f"{WITHIN_S:g} s later its connection is open",
            hint="look for idle clients in each round, not only when poll() finds nothing at all; "
            "and only a whole frame is a sign of life",
        )
        beat(busy, seq)
    except Unmet:
        # A server that does not answer at all is waited for much longer.
        if not pause_s <= time.monotonic() - since_s < WITHIN_S:
            raise
        return False
    if time.monotonic() - since_s >= pause_s:
        return False
    hint = "who gets FIN need not answer with its own: it is closed as any idle client"
    frame1.expect_left(lab, stays.address[1], hint, port=port)
    return True


def beat(busy: Tcp, seq: int, for_s: float = 0.0) -> int:
    """Send HEARTBEAT for so long, once at least, and be answered; return the last seq."""
    hint = "a client that sends frames is not idle; the time begins anew with each"
    end_s = time.monotonic() + for_s
    while True:
        seq += 1
        busy.send(frame(HEARTBEAT, seq), hint=hint)
        expect_frame(busy, HEARTBEAT, seq, hint=hint)
        if time.monotonic() >= end_s:
            return seq


@pytest.mark.needs("test_an_unknown_type_ends_nothing")
@pytest.mark.points(1)
def test_the_limit_is_kept(lab: Lab, submission: Submission) -> None:
    """one client too many is told so and forgotten; whoever leaves makes room"""
    serve(submission, "-n", "3")
    stay, *clients = [greet(lab) for _ in range(3)]
    hint = "accept() it, send ERROR and FIN; nothing of it is kept when it has left"
    for _ in range(5):
        refused = lab["client"].connect(SERVER)
        expect_frame(refused, ERROR, 1, None, hint)
        refused.expect_end(hint=hint)
        port = refused.address[1]
        refused.close()
        frame1.expect_left(lab, port, hint)
    seq = 2
    for round_number in range(4):
        client, other = clients
        ports = [client.address[1], other.address[1]]
        if round_number % 2:
            client.reset()
        else:
            client.send(frame(GOODBYE, 2))
            expect_frame(client, ACK, 2)
            client.close()
        other.close()
        hint = "however a client leaves, its descriptor is closed and its place is free again"
        for port in ports:
            frame1.expect_left(lab, port, hint)
        clients = [frame1.greet_in_a_free_place(lab, hint) for _ in range(2)]
        stay.send(frame(HEARTBEAT, seq))
        expect_frame(stay, HEARTBEAT, seq, hint="who stays is not touched")
        seq += 1


@pytest.mark.points(1)
def test_the_client_sends_frames(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """the client sends HELLO, a DATA for each line, and GOODBYE"""
    listener = lab["server"].listen(PORT)
    client = submission.start("client", "frame_client", *map(str, SERVER), ready=False)
    line = bytes(rng.choices([b for b in range(256) if b != 10], k=frame1.MOST))
    client.write(b"Data message #1\n\n" + line + b"\n")
    client.end_input()
    server = listener.accept()
    wanted = [
        (HELLO, b"Hello from client!"),
        (DATA, b"Data message #1"),
        (DATA, b""),
        (DATA, line),
        (GOODBYE, b""),
    ]
    for seq, (kind, payload) in enumerate(wanted, start=1):
        expect_frame(server, kind, seq, payload)
        server.send(frame(ACK, seq))
        client.expect_line(f"ack {seq}", hint="a line for each ACK, with your frame's seq")
    client.expect_exit(0, hint="after the ACK of GOODBYE it closes: exit status 0")


@pytest.mark.needs("test_the_client_sends_frames")
@pytest.mark.points(1)
def test_the_client_waits_for_each_ack(lab: Lab, submission: Submission) -> None:
    """the client waits for the whole ACK of each frame, and leaves without a reset"""
    listener = lab["server"].listen(PORT)
    client = submission.start("client", "frame_client", *map(str, SERVER), ready=False)
    client.write(b"one\ntwo")  # a last line without LF is one, too
    client.end_input()
    server = listener.accept()
    hint = "every frame has an answer, HELLO too: send the next when the ACK has come, all 24 bytes"
    frames = [(HELLO, b"Hello from client!"), (DATA, b"one"), (DATA, b"two"), (GOODBYE, b"")]
    for seq, (kind, payload) in enumerate(frames, start=1):
        expect_frame(server, kind, seq, payload, hint)
        answer = frame(ACK, seq, flags=seq)
        server.send(answer[:23], hint=hint)
        # What it sends without waiting for the ACK it has sent before it receives this.
        until(lambda: server.unacknowledged == 0, WITHIN_S)
        until(lambda: all(s.recv_q == 0 for s in lab["client"].sockets("tcp", PORT)), 1.0)
        expect_equal(server.unread, 0, f"bytes that come before the ACK of frame {seq}", hint)
        server.send(answer[23:], hint=hint)
    server.expect_end(hint=hint)
    client.expect_exit(0, hint="all is well: exit status 0")
    expect_equal(frame1.resets(lab, "client"), 0, "segments with RST that the client sent", hint)


# None of them is an ACK.
ANSWERS = {
    "ERROR": [frame(ERROR, 1, b"not today")],
    "another type": [frame(HEARTBEAT, 1), frame(HELLO, 1)],
    "broken": [
        frame(ACK, 1, wrong_by=1),
        frame(ACK, 1, version=2),
        frame(ACK, 1, bytes(frame1.MOST + 1)),
    ],
    "FIN": [frame(ACK, 1)[:20]],
}


@pytest.mark.needs("test_the_client_waits_for_each_ack")
@pytest.mark.points(1)
@pytest.mark.parametrize("answer", ANSWERS)
def test_the_client_believes_no_broken_frame(lab: Lab, submission: Submission, answer: str) -> None:
    """the client ends with exit status 1 for ERROR, a broken frame, or FIN instead of an ACK"""
    listener = lab["server"].listen(PORT)
    hint = (
        "one line on stderr, exit status 1: error: server: TEXT for an ERROR, else error: recv: …; "
        "version, type, len and sum are looked at"
    )
    for data in ANSWERS[answer]:
        client = submission.start("client", "frame_client", *map(str, SERVER), ready=False)
        server = listener.accept()
        expect_frame(server, HELLO, 1, b"Hello from client!")
        server.send(data)
        if answer == "FIN":
            server.finish()
        ended = client.expect_exit(1, hint=hint)
        said = ended.stderr.decode(errors="backslashreplace").strip()
        wanted = "error: server: not today" if answer == "ERROR" else "error: recv: .+"
        expect(
            re.fullmatch(wanted, said),
            expected=f"on stderr: {wanted.replace('.+', '…')}",
            actual=f"on stderr: {said or 'nothing'}",
            hint=hint,
        )
        expect_equal(ended.stdout, b"", "stdout", "only an ACK gets a line there")
