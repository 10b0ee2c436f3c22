"""Checks of event-loop. The contract is in README.md."""

import random
import time
from contextlib import suppress

import chat1
import pytest
from chat1 import expect_lines

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Submission,
    Tcp,
    Unmet,
    expect,
    expect_equal,
    unmet,
    until,
)

MANY = 400
LONG = [b"%06d " % number + b"x" * 493 for number in range(MANY)]
"""Lines of 500 bytes, 200 kB together: no socket's buffers hold so much here."""


@pytest.mark.points(1)
def test_a_line_goes_to_all_others(lab: Lab, submission: Submission) -> None:
    """a whole line goes to all others, and not to the one who said it"""
    chat1.start(submission)
    first, second, third = chat1.join(lab, 3)
    hint = "collect bytes until there is LF; then the line goes to every connection but this one"
    first.send(b"good ")
    second.send(b"one\nand two\nand th")
    for other in (first, third):
        expect_lines(other, [b"one", b"and two"], "from the second", hint)
    third.send(b"hi\n")
    for other in (first, second):
        expect_lines(other, [b"hi"], "from the third", hint)
    first.send(b"morning\n")
    for other in (second, third):
        expect_lines(other, [b"good morning"], "from the first", hint)
    second.send(b"ree\n")
    for other in (first, third):
        expect_lines(other, [b"and three"], "from the second", hint)
    third.send(b"bye\n")
    # Nothing else was on its way before this one.
    for other in (first, second):
        expect_lines(other, [b"bye"], "from the third", hint)
    expect_equal(third.unread, 0, "bytes for the third, who spoke last", hint)


@pytest.mark.needs("test_a_line_goes_to_all_others")
@pytest.mark.points(0.5)
def test_empty_lines_and_pong_go_to_nobody(lab: Lab, submission: Submission) -> None:
    """an empty line and PONG go to nobody"""
    chat1.start(submission)
    speaking, *others = chat1.join(lab, 3)
    hint = (
        "an empty line and PONG go to nobody; they are lines all the same, and end what is before"
    )
    for said, heard in (
        (b"\none\n", b"one"),
        (b"two\n\n\nthree\n", b"two"),
        (b"PONG\nfour\n", b"three"),
        (b"PO", b"four"),
        (b"NG\n\nfive\nPONG\n", b"five"),
        (b"PONG is a word\n", b"PONG is a word"),
    ):
        speaking.send(said)
        for other in others:
            expect_lines(other, [heard], f"after {said!r}", hint)


@pytest.mark.needs("test_a_line_goes_to_all_others")
@pytest.mark.points(1)
def test_a_line_has_512_bytes_at_most(lab: Lab, submission: Submission) -> None:
    """a line of 512 bytes is passed on, and who sends more without LF is closed"""
    chat1.start(submission)
    listening, speaking, *too_long = chat1.join(lab, 5)
    longest = b"x" * 512
    hint = "512 bytes and LF are a line, however they come; with fewer nobody is closed"
    speaking.send(longest + b"\n")
    expect_lines(listening, [longest], "512 bytes and LF", hint)
    speaking.send(longest)
    chat1.wait_until_there(speaking)
    too_long[0].send(b"meanwhile\n")
    expect_lines(listening, [b"meanwhile"], "from another one", hint)
    speaking.send(b"\n", hint=hint)
    expect_lines(listening, [longest], "512 bytes, and LF later", hint)
    hint = "look at the length of each line, and of what is there without LF: more than 512 bytes, close"
    for client, what, pieces in (
        (too_long[0], "513 bytes and LF", [longest + b"x\n"]),
        (too_long[1], "513 bytes without LF", [longest + b"x"]),
        (too_long[2], "512 bytes without LF and then one more", [longest, b"x"]),
    ):
        for piece in pieces:
            client.send(piece, hint=hint)
            chat1.wait_until_there(client)
        expect_closed(lab, client, f"a client that has sent {what}", hint)
        speaking.send(b"next\n")
        expect_lines(listening, [b"next"], f"after {what}", hint)


def expect_closed(lab: Lab, client: Tcp, who: str, hint: str) -> None:
    expect(
        until(lambda: not chat1.is_held(lab, client), WITHIN_S),
        expected=f"the server closes {who}",
        actual="the connection is open",
        hint=hint,
    )


@pytest.mark.needs("test_a_line_goes_to_all_others")
@pytest.mark.points(0.5)
def test_half_a_line_is_nobodys(lab: Lab, submission: Submission) -> None:
    """half a line of a client that leaves goes to nobody"""
    chat1.start(submission)
    speaking, leaving, *others = chat1.join(lab, 4)
    hint = "FIN is leaving: close, and throw away what has come without LF"
    leaving.send(b"whole\nhalf a li")
    for other in (speaking, *others):
        expect_lines(other, [b"whole"], "from the one who leaves", hint)
    leaving.finish()
    expect_closed(lab, leaving, "a client that has sent FIN", hint)
    speaking.send(b"next\n")
    for other in others:
        expect_lines(other, [b"next"], "from one who stays", hint)


@pytest.mark.needs("test_a_line_goes_to_all_others")
@pytest.mark.points(1)
def test_what_comes_together_is_all_served(lab: Lab, submission: Submission) -> None:
    """what comes together is all served, though nothing comes after it"""
    # Room for all of it: whoever does not read at once is for another check.
    lab["server"].set("net.ipv4.tcp_wmem", "4096 262144 4194304")
    program = chat1.start(submission)
    [listening] = chat1.connect(lab, 1)
    chat1.expect_all_joined([listening, *chat1.connect(lab, 1)])
    program.freeze()
    clients = chat1.connect(lab, 40, is_frozen=True)
    for number, client in enumerate(clients):
        client.send(b"%d\n" % number)
    big = clients[0]
    big.send(b"".join(line + b"\n" for line in LONG[:20]))
    # Nothing that comes later is another edge.
    for client in clients:
        chat1.wait_until_there(client)
    program.thaw()
    hint = (
        "edge-triggered (EPOLLET) an event says that something has come, once: accept() and recv() "
        "until EAGAIN, or be level-triggered"
    )
    heard: set[bytes] = set()
    wanted = {b"%d" % number for number in range(40)} | set(LONG[:20])
    while heard != wanted:
        try:
            heard.add(listening.line(expected="another line", hint=hint))
        except Unmet as error:
            unmet(
                "40 clients have come at once, and all that they have said is passed on",
                f"{len(wanted - heard)} of {len(wanted)} lines are missing: {error.actual}",
                hint,
            )


@pytest.mark.needs("test_what_comes_together_is_all_served")
@pytest.mark.points(0.5)
def test_five_hundred_clients_hear(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """five hundred clients are connected, and each gets what one of them says"""
    chat1.start(submission)
    clients = chat1.connect(lab, 500, is_frozen=True)
    hint = "no table of fixed size for clients, and no limit below 500"
    if not until(lambda: chat1.held(lab) == 500, 3 * WITHIN_S):
        expect_equal(chat1.held(lab), 500, "connections that the server has accepted", hint)
    # It may have accepted and not be ready yet to send to all of them.
    chat1.expect_all_joined(clients, hint)
    speaking = clients.pop(rng.randrange(len(clients) - 1))
    speaking.send(b"so many\n")
    for client in clients:
        expect_lines(client, [b"so many"], "from one of 500", hint)


@pytest.mark.needs("test_what_comes_together_is_all_served")
@pytest.mark.points(0.5)
def test_all_see_the_same_order(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """lines of several clients reach all others in the same order"""
    program = chat1.start(submission)
    *speakers, first, second = chat1.join(lab, 6)
    program.freeze()
    orders = [[b"%d-%d" % (who, number) for number in range(100)] for who in range(len(speakers))]
    for speaker, order in rng.sample(list(zip(speakers, orders, strict=True)), len(speakers)):
        speaker.send(b"".join(line + b"\n" for line in order))
    program.thaw()
    hint = "a line is given to all before the next one is taken; each connection has one queue"
    heard = [first.line(expected="a line", hint=hint) for _ in range(400)]
    for who, order in enumerate(orders):
        said = [line for line in heard if line.startswith(b"%d-" % who)]
        expect_equal(said, order, f"the lines of speaker {who}", hint)
    expect_lines(second, heard, "to the second listener, as to the first", hint)


def expect_asleep(program: Program, while_: str, hint: str) -> None:
    expected = f"the server sleeps {while_}"
    asleep = until(program.is_asleep, WITHIN_S)
    if not program.is_running():
        unmet(expected, f"it {program.how_it_ended()}", hint)
    expect(asleep, expected=expected, actual="it runs all the time (state R)", hint=hint)


@pytest.mark.needs("test_what_comes_together_is_all_served")
@pytest.mark.points(1)
def test_it_sleeps_when_there_is_nothing_to_do(lab: Lab, submission: Submission) -> None:
    """it is one thread, and sleeps when there is nothing to do"""
    chat1.small_buffers(lab)
    program = chat1.start(submission, most_unsent=10**6)
    clients = chat1.join(lab, 5)
    expect_equal(program.threads(), 1, "threads of all its processes, with 5 clients", "one loop")
    hint = (
        "wait for a socket to be writable only while there is something for it; give epoll_wait() the "
        "time until the next timer, not 0"
    )
    expect_asleep(program, "while nobody says anything", hint)
    slow = chat1.slow_reader(lab)
    chat1.expect_all_joined([slow, clients[0]])
    clients[0].send(b"".join(line + b"\n" for line in LONG))
    expect_asleep(program, "while a client does not read what there is for it", hint)
    for client in clients[1:3]:
        client.close()
    for client in clients[3:]:
        client.reset()
    expect_asleep(
        program, "when four clients have left", "a socket at its end is readable for ever"
    )


@pytest.mark.needs("test_what_comes_together_is_all_served")
@pytest.mark.points(1)
def test_a_slow_reader_gets_every_line(lab: Lab, submission: Submission) -> None:
    """a client that reads late holds up nobody, and gets every line in the end"""
    chat1.small_buffers(lab)
    chat1.start(submission, most_unsent=10**6)
    slow = chat1.slow_reader(lab)
    listening, speaking = clients = chat1.connect(lab, 2)
    chat1.expect_all_joined([slow, *clients])
    hint = (
        "a socket that does not block takes what it can, and EAGAIN means later: keep the rest, and go "
        "on when the socket is writable"
    )
    for start in range(0, MANY, 50):
        # Each piece has to come through before the next one is sent.
        lines = LONG[start : start + 50]
        speaking.send(b"".join(line + b"\n" for line in lines), hint=hint)
        expect_lines(listening, lines, "to a client that reads", hint)
    expect_lines(slow, LONG, "to a client that reads late", hint)


@pytest.mark.needs("test_a_slow_reader_gets_every_line")
@pytest.mark.points(1)
def test_who_reads_too_slowly_is_closed(lab: Lab, submission: Submission) -> None:
    """for whom more than BYTES are kept is closed, and nobody else notices"""
    chat1.small_buffers(lab)
    chat1.start(submission, most_unsent=50000)
    slow = chat1.slow_reader(lab)
    listening, speaking = clients = chat1.connect(lab, 2)
    chat1.expect_all_joined([slow, *clients])
    hint = "count what is kept for each client; with more than BYTES close it, and only this one"
    # 50 kB kept, and what the buffers of both kernels hold, is less than half of this.
    for _ in range(2):
        for start in range(0, MANY, 50):
            lines = LONG[start : start + 50]
            speaking.send(b"".join(line + b"\n" for line in lines), hint=hint)
            expect_lines(listening, lines, "to a client that reads", hint)
    expect_closed(lab, slow, "a client that has read nothing of 400 kB", hint)
    speaking.send(b"still here?\n")
    expect_lines(listening, [b"still here?"], "to a client that reads", hint)


@pytest.mark.needs("test_a_line_goes_to_all_others")
@pytest.mark.points(0.5)
def test_a_client_that_leaves_harms_nobody(lab: Lab, submission: Submission) -> None:
    """clients that leave while lines for them come harm nobody"""
    program = chat1.start(submission)
    clients = chat1.join(lab, 8)
    speaking, listening, *leaving = clients
    while listening.unread:
        listening.receive()
    program.freeze()
    # All of this is one batch of events, in this order: to pass on the lines finds that connections
    # are gone of which an event is still to come.
    speaking.send(b"one\ntwo\n")
    chat1.wait_until_there(speaking)
    for number, client in enumerate(leaving):
        if number % 2:
            client.send(b"half a line")
            client.reset()
        else:
            client.close()
    until(lambda: chat1.established(lab) == 2, WITHIN_S)
    [late] = chat1.connect(lab, 1, is_frozen=True)
    program.thaw()
    hint = (
        "to send may fail as well as to receive: close this client, once, and go on with the next; an "
        "event that epoll_wait() has returned may be of a client that you have closed meanwhile"
    )
    try:
        expect_lines(listening, [b"one", b"two"], "to the one who stays", hint)
        late.send(b"three\n", hint=hint)
        expect_lines(listening, [b"three"], "to the one who stays", hint)
    except Unmet as error:
        if program.is_running():
            raise
        unmet(error.expected, f"the program {program.how_it_ended()}", hint)


SILENCE_S = 2.0


class Talk:
    """Two who say something all the time, each when it has heard the other."""

    def __init__(self, first: Tcp, second: Tcp) -> None:
        self.pairs = [(first, second), (second, first)]
        self.rounds = 0
        self.said_s = time.monotonic()
        self.longest_pause_s = 0.0
        """How long at most the server may have had nothing to do."""

    def go_on(self, hint: str) -> None:
        for speaker, hearer in self.pairs:
            self.rounds += 1
            now_s = time.monotonic()
            word = b"%d" % self.rounds
            speaker.send(word + b"\n")
            while (line := hearer.line(expected=f"the line {word!r}", hint=hint)) != word:
                # That comes to somebody who talks where this machine stands still for long.
                expect(line == b"PING", expected="that line", actual=f"{line!r}", hint=hint)
            # What was heard has been dealt with: since the word before, there was no longer pause.
            self.longest_pause_s = max(self.longest_pause_s, time.monotonic() - self.said_s)
            self.said_s = now_s


@pytest.mark.needs("test_a_line_goes_to_all_others")
@pytest.mark.points(1)
def test_who_is_silent_is_closed(lab: Lab, submission: Submission) -> None:
    """who is silent is sent PING and then closed, also while others talk all the time"""
    hint = (
        "look what is due after each epoll_wait(), not only when it has timed out: while others talk "
        "it never does"
    )
    expect_pinged_and_closed(lab, submission, "a client that says nothing", hint)


@pytest.mark.needs("test_who_is_silent_is_closed")
@pytest.mark.points(0.5)
def test_half_a_line_is_no_sign_of_life(lab: Lab, submission: Submission) -> None:
    """who sends a byte now and then, and no whole line, is sent PING and then closed, too"""
    hint = "only a whole line moves the timer: a byte without LF is none"
    who = "a client that sends a byte now and then, and no LF,"
    expect_pinged_and_closed(lab, submission, who, hint, sends_bytes=True)


def expect_pinged_and_closed(
    lab: Lab, submission: Submission, who: str, hint: str, *, sends_bytes: bool = False
) -> None:
    chat1.start(submission, silence_ms=int(1000 * SILENCE_S))
    talk = Talk(*chat1.join(lab, 2))
    while True:
        [silent] = chat1.connect(lab, 1)
        lines = lines_until_closed(silent, talk, who, hint, sends_bytes=sends_bytes)
        # If this machine has stood still for so long that the server was idle, it shows nothing.
        if talk.longest_pause_s < SILENCE_S:
            break
    expect_equal(lines.count(b"PING"), 1, "lines PING to the one who was closed", hint)
    talk.go_on(hint)


def lines_until_closed(
    silent: Tcp, talk: Talk, who: str, hint: str, *, sends_bytes: bool
) -> list[bytes]:
    """Return the lines that a client gets until it is closed, which sends none."""
    said = bytearray()
    silent.socket.setblocking(False)
    talk.longest_pause_s = 0.0
    next_byte_s = time.monotonic()

    def has_ended() -> bool:
        nonlocal next_byte_s
        if sends_bytes and time.monotonic() >= next_byte_s:
            # Closed already, or full: it shows when we receive.
            with suppress(OSError):
                silent.socket.send(b"x")
            next_byte_s = time.monotonic() + SILENCE_S / 8
        # Who is heard after that byte was served after it.
        talk.go_on(hint)
        return received_end(silent, said)

    expect(
        until(has_ended, 3 * WITHIN_S),
        expected=f"{who} is closed after 2 × MS",
        actual=f"with -t {1000 * SILENCE_S:g} it is open {3 * WITHIN_S:g} s later",
        hint=hint,
    )
    return bytes(said).split(b"\n")


def received_end(client: Tcp, said: bytearray) -> bool:
    """Take what is there; tell whether the other end has closed."""
    try:
        while data := client.socket.recv(65536):
            said += data
    except BlockingIOError:
        return False
    except OSError:
        pass  # RST is an end as well
    return True
