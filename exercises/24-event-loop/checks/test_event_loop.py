"""Checks of event-loop. The contract is in README.md."""

import random
import time

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
    second.send(b"one\nand two\n\nPONG\nand th")
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
@pytest.mark.points(2)
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
@pytest.mark.points(1)
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
@pytest.mark.points(2)
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
    expect(
        until(lambda: not chat1.is_held(lab, slow), WITHIN_S),
        expected="the server has closed the connection of a client that has read nothing of 400 kB",
        actual="it is open",
        hint=hint,
    )
    speaking.send(b"still here?\n")
    expect_lines(listening, [b"still here?"], "to a client that reads", hint)


@pytest.mark.needs("test_a_line_goes_to_all_others")
@pytest.mark.points(1)
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
        client.send(b"half a line")
        if number % 2:
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
    chat1.start(submission, silence_ms=int(1000 * SILENCE_S))
    first, second = chat1.join(lab, 2)
    hint = (
        "look what is due after each epoll_wait(), not only when it has timed out: while others talk "
        "it never does"
    )
    talk = Talk(first, second)
    lines = lines_to_a_silent_client(lab, talk, hint)
    while talk.longest_pause_s >= SILENCE_S:
        # This machine has stood still for so long that the server had been idle: that shows nothing.
        lines = lines_to_a_silent_client(lab, talk, hint)
    expect_equal(lines.count(b"PING"), 1, "lines PING to the one who was closed", hint)
    talk.go_on(hint)


def lines_to_a_silent_client(lab: Lab, talk: Talk, hint: str) -> list[bytes]:
    """Have a client that says nothing; return the lines that it gets until it is closed."""
    [silent] = chat1.connect(lab, 1)
    said = bytearray()
    talk.longest_pause_s = 0.0

    def has_ended() -> bool:
        talk.go_on(hint)
        return received_end(silent, said)

    expect(
        until(has_ended, 3 * WITHIN_S),
        expected="a client that says nothing is closed after 2 × MS",
        actual=f"with -t {1000 * SILENCE_S:g} it is open {3 * WITHIN_S:g} s later",
        hint=hint,
    )
    return bytes(said).split(b"\n")


def received_end(client: Tcp, said: bytearray) -> bool:
    """Take what is there; tell whether the other end has closed."""
    client.socket.setblocking(False)
    try:
        while data := client.socket.recv(65536):
            said += data
    except BlockingIOError:
        return False
    except OSError:
        pass  # RST is an end as well
    return True
