"""Checks of kv-event. The contract is in README.md."""

import random

import kv1
import pytest
from kv1 import BIG, GET_BIG, PORT, ask, expect_answer, put, value

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Submission,
    Tcp,
    expect,
    expect_equal,
    unmet,
    until,
)

MANY = 1000
"""So many big values fit into no socket's buffers."""

MOST_MIB = 8


@pytest.mark.points(2)
def test_a_stalled_client_holds_up_nobody(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """a client that stalls in the middle of a request holds up none of the others"""
    submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    clients = kv1.connect(lab, 10)
    stalled = clients.pop(rng.randrange(len(clients)))
    request = put(b"slow", b"a value that comes late")
    cut = rng.randrange(1, len(request))
    stalled.send(request[:cut])
    kv1.let_it_be_received(lab, stalled)
    hint = (
        "a socket that can be read has some bytes, not a whole request: one recv(), append to this "
        "client's buffer, look whether it holds a request, and back to the loop"
    )
    for _ in range(2):
        rng.shuffle(clients)
        for client in clients:
            key, content = b"port-%d" % client.address[1], b"%d" % rng.randrange(10**9)
            ask(client, put(key, content), b"OK\n", hint)
            ask(client, b"GET %b\n" % key, value(content), hint)
    stalled.send(request[cut:])
    expect_answer(stalled, request, b"OK\n", hint)


@pytest.mark.needs("test_a_stalled_client_holds_up_nobody")
@pytest.mark.points(1)
def test_one_thread_serves_them_all(lab: Lab, submission: Submission) -> None:
    """one process with one thread serves them all"""
    program = submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    for client in (clients := kv1.connect(lab, 10)):
        ask(client, b"COUNT\n", b"COUNT 0\n")
    expect_equal(
        program.threads(),
        1,
        f"threads of all its processes, while {len(clients)} clients are connected",
        "no thread and no child for a client: select(), poll() or epoll_wait() over all sockets; "
        "if a shell script starts the program, with exec",
    )


def expect_asleep(program: Program, while_: str, hint: str) -> None:
    asleep = until(program.is_asleep, WITHIN_S)
    expected = f"the server sleeps {while_}"
    if not program.is_running():
        unmet(expected, f"it {program.how_it_ended()}", hint)
    expect(
        asleep,
        expected=expected,
        actual="it runs all the time (state R, as `top` shows)",
        hint=hint,
    )


@pytest.mark.needs("test_a_stalled_client_holds_up_nobody")
@pytest.mark.points(1)
def test_it_sleeps_when_there_is_nothing_to_do(lab: Lab, submission: Submission) -> None:
    """it sleeps when there is nothing to do"""
    kv1.small_buffers(lab)
    program = submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    idle, leaving, resetting, stalled = kv1.connect(lab, 4)
    for client in (idle, leaving, resetting):
        ask(client, put(b"big", BIG), b"OK\n")
    stalled.send(b"PUT half 10\nhalf")
    kv1.let_it_be_received(lab, stalled)
    expect_asleep(
        program,
        "while its clients say nothing",
        "wait for a socket to be writable only while there is something to write to it, and give "
        "select(), poll() or epoll_wait() no timeout of 0",
    )
    leaving.close()
    resetting.reset()
    ask(idle, b"COUNT\n", b"COUNT 1\n")
    expect_asleep(
        program,
        "when two clients have left",
        "a socket at its end is readable for ever: recv() returned 0 or failed, so close it and "
        "take it out of the loop",
    )
    slow = kv1.connect_reader(lab)
    program.freeze()
    slow.send(GET_BIG * MANY)
    kv1.finish(slow)
    program.thaw()
    kv1.expect_answers_begin(slow)
    expect_asleep(
        program,
        "while a client that has sent FIN does not read its answers",
        "wait for this socket to be writable, and no longer for it to be readable: it is that all "
        "the time, with recv() returning 0",
    )


@pytest.mark.needs("test_one_thread_serves_them_all")
@pytest.mark.points(1)
def test_five_hundred_clients_are_served(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """five hundred clients are connected and served at the same time"""
    submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    clients = kv1.connect(lab, 500)
    hint = "no table of fixed size for clients, and no limit below 500"
    for number, client in enumerate(clients):
        ask(client, put(b"k%d" % number, b"%d" % number), b"OK\n", hint)
    for client in rng.sample(clients, len(clients)):
        number = rng.randrange(len(clients))
        ask(client, b"GET k%d\n" % number, value(b"%d" % number), hint)


@pytest.mark.needs("test_a_stalled_client_holds_up_nobody")
@pytest.mark.points(2)
def test_a_client_that_does_not_read_holds_up_nobody(lab: Lab, submission: Submission) -> None:
    """a client that does not read its answers holds up none of the others"""
    kv1.small_buffers(lab)
    submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    [other] = kv1.connect(lab, 1)
    ask(other, put(b"big", BIG), b"OK\n")
    slow = kv1.connect_reader(lab)
    slow.send(GET_BIG * MANY)
    kv1.expect_answers_begin(slow)
    # With one answer each round, all buffers between the server and `slow` are full long before
    # the last round.
    for _ in range(200):
        ask(
            other,
            b"COUNT\n",
            b"COUNT 1\n",
            "send() waits when the client does not read: setblocking(False) in Python, O_NONBLOCK "
            "in C; keep what could not be sent, and go on when the socket is writable",
        )


def expect_answer_number(client: Tcp, number: int, of: int, wanted: bytes, hint: str) -> None:
    what = f"answer number {number} of {of}"
    got = client.receive_exactly(len(wanted), expected=f"{what}, whole", hint=hint)
    if got == wanted:
        return
    for place, (is_there, belongs_there) in enumerate(zip(got, wanted, strict=True)):
        if is_there != belongs_there:
            unmet(
                f"{what} goes on with {wanted[place : place + 24]!r} after {place} bytes",
                f"it goes on with {got[place : place + 24]!r}",
                hint,
            )


@pytest.mark.needs("test_a_client_that_does_not_read_holds_up_nobody")
@pytest.mark.points(1)
@pytest.mark.parametrize("stays", [True, False], ids=["it stays", "it has sent FIN"])
def test_whoever_reads_late_gets_every_answer(
    lab: Lab, submission: Submission, rng: random.Random, stays: bool
) -> None:
    """whoever reads late gets every answer, whole and in order"""
    kv1.small_buffers(lab)
    submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    slow = kv1.connect_reader(lab)
    contents = {b"big%d" % number: BIG[number * 8 :] for number in range(8)}
    for key, content in contents.items():
        ask(slow, put(key, content), b"OK\n")
    wanted = rng.choices(list(contents), k=MANY)
    slow.send(b"".join(b"GET %b\n" % key for key in wanted) + b"COUNT\n")
    if not stays:
        kv1.finish(slow)
    kv1.expect_answers_begin(slow)
    # While these are served, the server finds that `slow` takes no more.
    [other] = kv1.connect(lab, 1)
    for _ in range(200):
        ask(other, b"COUNT\n", b"COUNT 8\n")
    hint = (
        "send() may take less than all, and says how much; EAGAIN means later, not never; and when "
        "the answers have gone, requests may still wait in your own buffer"
    )
    for number, key in enumerate(wanted, start=1):
        expect_answer_number(slow, number, MANY, value(contents[key]), hint)
    expect_answer(slow, b"COUNT\n", b"COUNT 8\n", hint)
    if not stays:
        slow.expect_end(hint="the client has sent FIN and has all its answers: close")


def ask_until_it_is_stuck(lab: Lab, program: Program, client: Tcp) -> int:
    """Ask for big values until the kernel has no room for the answers; return for how many.

    Less than one of them is left to the program then: not so much that it stops receiving.
    """
    port = client.address[1]

    def has_all(answers: int) -> bool:
        """Whether the program has sent them: the client has them, or the server's kernel."""
        # In this order: what is under way meanwhile is counted twice, and never missed.
        queued = sum(s.send_q for s in lab["server"].sockets("tcp", port) if s.peer_port == port)
        return queued + client.unread >= answers * len(value(BIG))

    def is_closed() -> bool:
        """Whether the client's window is closed: from now on nothing gets out of the server."""
        return bool(lab.packets(f"src port {port} and tcp[14:2] = 0", sent_by="client1"))

    def is_stuck(answers: int) -> bool:
        until(lambda: has_all(answers) or is_closed(), WITHIN_S)
        return not has_all(answers)

    for asked in range(1, MANY):
        client.send(GET_BIG)
        kv1.let_it_be_received(lab, client)
        until(program.is_asleep, WITHIN_S)
        if is_stuck(asked):
            return asked
    return MANY


@pytest.mark.needs(
    "test_it_sleeps_when_there_is_nothing_to_do", "test_whoever_reads_late_gets_every_answer"
)
@pytest.mark.points(1)
def test_fin_cuts_nothing_off(lab: Lab, submission: Submission) -> None:
    """a client that sends FIN while answers are unsent gets all of them, then FIN"""
    kv1.small_buffers(lab, grow=False)
    program = submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    slow = kv1.connect_reader(lab)
    port = slow.address[1]
    ask(slow, put(b"big", BIG), b"OK\n")
    asked = ask_until_it_is_stuck(lab, program, slow)
    kv1.finish(slow)
    # The FIN has been seen when it is there, and the server, which was woken by it, sleeps again.
    until(lambda: kv1.state(lab, port) != "ESTAB", WITHIN_S)
    until(program.is_asleep, WITHIN_S)
    hint = (
        "recv() returned 0: the client sends no more, and still reads; what is unsent stays to be "
        "sent, and so do the answers to its last requests; close when all has gone"
    )
    for number in range(1, asked + 1):
        expect_answer_number(slow, number, asked, value(BIG), hint)
    slow.expect_end(hint="the client has sent FIN and has all its answers: close")


@pytest.mark.needs("test_a_client_that_does_not_read_holds_up_nobody")
@pytest.mark.points(1)
def test_answers_that_nobody_reads_do_not_fill_the_memory(lab: Lab, submission: Submission) -> None:
    """answers that nobody reads do not fill the server's memory"""
    kv1.small_buffers(lab)
    program = submission.start("server", "kv_store", "0.0.0.0", str(PORT))
    [other] = kv1.connect(lab, 1)
    ask(other, put(b"big", BIG), b"OK\n")
    slow = kv1.connect_reader(lab)
    before = program.resident_bytes()

    def grown_mib() -> int:
        return (program.resident_bytes() - before) >> 20

    unsent = memoryview(GET_BIG * 100 * MANY)
    # In each round a server that reads on has some hundred more answers to keep.
    for _ in range(400):
        unsent = unsent[sent_now(slow, unsent) :]
        other.send(b"COUNT\n")
        until(lambda: other.unread or grown_mib() >= MOST_MIB, WITHIN_S)
        now_mib = grown_mib()
        hint = (
            "while a client has answers to take, carry out none of its requests and do not receive "
            "from it: TCP then tells it to wait"
        )
        expect(
            now_mib < MOST_MIB,
            expected=f"less than {MOST_MIB} MiB more memory for a client that does not read",
            actual=f"{now_mib} MiB more",
            hint=hint,
        )
        expect_answer(other, b"COUNT\n", b"COUNT 1\n", hint)


def sent_now(client: Tcp, data: memoryview) -> int:
    """Send what the kernel takes at once; return how much that was."""
    client.socket.setblocking(False)
    try:
        return client.socket.send(data)
    except BlockingIOError:
        return 0
    except OSError as error:
        unmet(
            "the connection of the client that does not read stays",
            f"it was cut: {error.strerror}",
            "EAGAIN from send() means that the client has to read first; it is no reason to close",
        )
