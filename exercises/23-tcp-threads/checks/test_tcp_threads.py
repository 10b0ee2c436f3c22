"""Checks of tcp-threads. The contract is in README.md."""

import random

import bank1
import pytest
from bank1 import PORT, START, TOTAL, ask, balances, move

from labctl.testing import WITHIN_S, Lab, Submission, Tcp, expect, expect_equal, unmet, until

MOVES = 300
"""Of each client; all of them are there before the first is carried out."""

LISTS = 100

TOGETHER = (
    "to look, to take and to give are one step: a lock before the first, and let go after the last"
)


@pytest.mark.points(1)
def test_requests_are_answered(lab: Lab, submission: Submission) -> None:
    """money is moved, if there is enough, and all see the same accounts"""
    bank1.start(submission)
    first, second = bank1.connect(lab, 2)
    hint = "BANK/1 is in README.md"
    ask(first, move(0, 99, 400), b"OK", hint)
    ask(second, move(0, 1, 601), b"POOR", hint)
    ask(second, move(0, 1, 600), b"OK", hint)
    ask(first, move(5, 5, 10), b"OK", hint)
    for bad in (b"MOVE 0 100 1", b"MOVE 0 1 -1", b"MOVE 0 1", b"GIVE 0 1 1", b""):
        second.send(bad + b"\n")
        said = second.line(expected=f'an answer to "{bad.decode()}"', hint=hint)
        expect(
            said.startswith(b"ERR"),
            expected=f'"ERR …" for "{bad.decode()}"',
            actual=f"{said!r}",
            hint="accounts are 0 to 99, amounts 0 to 1000000, in digits",
        )
    wanted = [0, START + 600, *[START] * 97, START + 400]
    for client in (first, second):
        expect_equal(balances(client, hint), wanted, "the balances", hint)
    first.send(b"QUIT\n")
    first.expect_end(hint="QUIT: close")


@pytest.mark.needs("test_requests_are_answered")
@pytest.mark.points(1)
def test_a_request_comes_in_pieces(lab: Lab, submission: Submission) -> None:
    """a request may come in pieces, and with the beginning of the next"""
    program = bank1.start(submission)
    [client] = served(lab, 1)
    hint = "recv() returns what is there: keep what is left over, and add to it, until there is LF"

    def send_piece(piece: bytes) -> None:
        """Send it, and wait until the program has taken it by itself."""
        client.send(piece, hint=hint)
        bank1.wait_until_there(client)
        until(program.is_asleep, WITHIN_S)

    send_piece(b"MOVE 0 1")
    ask(client, b" 5", b"OK", hint)
    send_piece(b"MOVE 0 1 1\nMO")
    expect_equal(client.line(hint=hint), b"OK", 'the answer to "MOVE 0 1 1"', hint)
    ask(client, b"VE 0 1 1", b"OK", hint)
    expect_equal(balances(client, hint)[:2], [START - 7, START + 7], "accounts 0 and 1", hint)


@pytest.mark.needs("test_requests_are_answered")
@pytest.mark.points(1)
def test_a_number_is_all_digits(lab: Lab, submission: Submission) -> None:
    """a word too many, or a number that is not all digits or too large, is an error"""
    bank1.start(submission)
    [client] = served(lab, 1)
    for bad in (
        b"MOVE 0 1 x",
        b"MOVE 0 1 1x",
        b"MOVE 0 1x 1",
        b"MOVE 0 1 1000001",
        b"MOVE 0 1 1 1",
        b"LIST x",
    ):
        hint = (
            "atoi() makes 1 of 1x, and 0 of x: strtol() says where it has stopped; count the words"
        )
        client.send(bad + b"\n")
        said = client.line(expected=f'an answer to "{bad.decode()}"', hint=hint)
        expect(
            said.startswith(b"ERR"),
            expected=f'"ERR …" for "{bad.decode()}"',
            actual=f"{said[:60]!r}",
            hint=hint,
        )


@pytest.mark.needs("test_requests_are_answered")
@pytest.mark.points(2)
def test_each_client_has_a_thread_until_it_leaves(lab: Lab, submission: Submission) -> None:
    """each client has a thread until it leaves, however it does that"""
    program = bank1.start(submission)
    # Some start the thread that accepts after READY: once a client is served, it is there.
    clients = served(lab, 1)
    before = program.threads() - 1
    clients += served(lab, 5)
    hint = "one thread accepts; each client that it accepts gets a thread of the same process"
    expect_equal(program.threads() - before, 6, "threads more with 6 clients", hint)
    expect_equal(len(program.pids()), 1, "processes with 6 clients", hint)

    closing, half_a_line, resetting, reset_in_a_line, quitting, staying = clients
    closing.close()
    half_a_line.send(b"MOVE 1")
    half_a_line.close()
    resetting.reset()
    reset_in_a_line.send(b"MOVE 1")
    reset_in_a_line.reset()
    quitting.send(b"QUIT\n")
    quitting.expect_end(hint="QUIT: close")
    quitting.close()
    hint = "recv() returns 0 at the end of the stream, or fails: close the socket, and let the thread end"
    expect(
        until(lambda: program.threads() - before == 1, WITHIN_S),
        expected="1 thread more, when 5 of 6 clients have left",
        actual=f"{program.threads() - before} threads more",
        hint=hint,
    )

    def states() -> list[str]:
        return [s.state for s in lab["server"].sockets("tcp", PORT) if s.state != "LISTEN"]

    expect(
        until(lambda: sum(s != "TIME-WAIT" for s in states()) == 1, WITHIN_S),
        expected="one connection is left",
        actual=f"sockets in the states {' '.join(states())}",
        hint=hint,
    )
    ask(staying, b"MOVE 1 2 1", b"OK", hint)


def served(lab: Lab, count: int) -> list[Tcp]:
    clients = bank1.connect(lab, count)
    for client in clients:
        ask(client, b"MOVE 0 0 0", b"OK")
    return clients


def make_rich(client: Tcp) -> None:
    """Give accounts 0 and 1 so much that they are never poor in these checks."""
    for number in range(10, 90):
        client.send(move(number, number % 2, START) + b"\n")
    bank1.expect_oks(client, 80, TOGETHER)


def upward(rng: random.Random) -> bytes:
    """Return a MOVE between few accounts that no order of locks is too much for."""
    source, target = rng.choice([(0, 1), (0, 2), (1, 2)])
    return move(source, target, 1)


@pytest.mark.needs("test_requests_are_answered")
@pytest.mark.points(2)
def test_no_money_is_lost(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """many move at the same time, and in the end every account is right"""
    program = bank1.start(submission)
    clients = served(lab, 8)
    make_rich(clients[0])
    before = balances(clients[0])
    orders = [[upward(rng) for _ in range(MOVES)] for _ in clients]
    bank1.send_all_at_once(program, list(zip(clients, orders, strict=True)))
    for client in clients:
        bank1.expect_oks(client, MOVES, TOGETHER)
    wanted = before[:3]
    for order in orders:
        for request in order:
            _, source, target, _ = request.split()
            wanted[int(source)] -= 1
            wanted[int(target)] += 1
    expect_equal(balances(clients[0])[:3], wanted, "accounts 0 to 2 in the end", TOGETHER)


@pytest.mark.needs("test_no_money_is_lost")
@pytest.mark.points(1)
def test_a_list_is_of_one_moment(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """a list shows one moment: its sum is always the same, while others move"""
    program = bank1.start(submission)
    clients = served(lab, 8)
    make_rich(clients[0])
    # Everybody does both, turn about: so none of them can be done before another has begun.
    orders = [(client, [upward(rng) for _ in range(LISTS)]) for client in clients]
    bank1.send_all_at_once(
        program,
        [(client, [word for order in own for word in (order, b"LIST")]) for client, own in orders],
    )
    hint = f"{TOGETHER}; and to list is to look at all of them in one step"
    for client in clients:
        for _ in range(LISTS):
            bank1.expect_oks(client, 1, hint)
            expect_equal(sum(bank1.read_list(client, hint)), TOTAL, "the sum of a list", hint)


@pytest.mark.needs("test_no_money_is_lost")
@pytest.mark.points(1)
def test_opposite_moves_do_not_lock_up(lab: Lab, submission: Submission) -> None:
    """moves in opposite directions do not wait for each other for ever"""
    program = bank1.start(submission)
    clients = served(lab, 8)
    make_rich(clients[0])
    before = balances(clients[0])
    orders = [move(0, 1, 1), move(1, 0, 1)]
    conversations = [(c, [orders[number % 2]] * MOVES) for number, c in enumerate(clients)]
    bank1.send_all_at_once(program, conversations)
    hint = (
        "one has locked account 0 and waits for 1, another has locked 1 and waits for 0: one lock for "
        "all accounts, or all threads lock in the same order"
    )
    for client in clients:
        bank1.expect_oks(client, MOVES, hint)
    expect_equal(balances(clients[0]), before, "the balances in the end", hint)


@pytest.mark.needs("test_requests_are_answered")
@pytest.mark.points(1)
def test_a_client_that_does_not_read_holds_up_nobody(lab: Lab, submission: Submission) -> None:
    """a client that does not read its answers holds up nobody"""
    lab["server"].set("net.ipv4.tcp_wmem", "4096 16384 65536")
    program = bank1.start(submission)
    slow = lab["client1"].connect(bank1.SERVERS["client1"], receive_buffer=16384)
    [other] = served(lab, 1)
    # A megabyte of answers, and room for a tenth of that between the two.
    slow.send(b"LIST\n" * 2500)
    hint = "send() waits while the client does not read: do it when the lock is free again"
    expect(
        until(lambda: slow.unread > 0, WITHIN_S),
        expected="answers to many LIST",
        actual="nothing arrived",
        hint="requests that come together are answered one after the other",
    )
    # The other one talks until nothing has come for the slow one for a while, and goes on.
    unread, quiet_rounds = 0, 0
    while quiet_rounds < 20:
        quiet_rounds = quiet_rounds + 1 if slow.unread == unread else 0
        unread = slow.unread
        expect(
            until(program.is_asleep, WITHIN_S),
            expected="the server's threads sleep while the client's buffers are full",
            actual="they run all the time",
            hint="let send() wait; it is this client's thread alone",
        )
        ask(other, b"MOVE 1 2 0", b"OK", hint)
    expect_equal(sum(balances(other, hint)), TOTAL, "the sum of a list", hint)


@pytest.mark.needs("test_each_client_has_a_thread_until_it_leaves")
@pytest.mark.points(1)
def test_one_too_many_is_told(lab: Lab, submission: Submission) -> None:
    """one client too many is told so at once, and the place of whoever leaves is free again"""
    program = bank1.start(submission, clients=3)
    clients = served(lab, 1)
    before = program.threads() - 1
    clients += served(lab, 2)
    hint = "accept it, send BUSY, close it; no thread is needed for that"
    for leaves in ("FIN", "RST", "QUIT"):
        for _ in range(3):
            [other] = bank1.connect(lab, 1)
            said = other.everything(expected="BUSY, then FIN", hint=hint)
            expect_equal(said, b"BUSY\n", "what client number 4 of 3 is told", hint)
        expect(
            # One that has just given its place free may still be about to end.
            until(lambda: program.threads() - before <= 3, WITHIN_S),
            expected="3 threads more at most with -n 3",
            actual=f"{program.threads() - before} threads more",
            hint=hint,
        )
        client = clients.pop(0)
        if leaves == "FIN":
            client.close()
        elif leaves == "RST":
            client.reset()
        else:
            client.send(b"QUIT\n")
        clients.append(expect_place(lab, leaves))


def expect_place(lab: Lab, left_by: str) -> Tcp:
    """Connect until a client is served."""
    accepted: list[Tcp] = []

    def is_served() -> bool:
        [client] = bank1.connect(lab, 1)
        client.send(b"MOVE 0 0 0\n")
        if client.line(expected="OK or BUSY") == b"OK":
            accepted.append(client)
        return bool(accepted)

    if not until(is_served, WITHIN_S):
        unmet(
            f"a new client is served when another has left ({left_by})",
            f"it is told BUSY for {WITHIN_S:g} s",
            "count down however a client's thread ends, also when recv() or send() fails",
        )
    return accepted[0]


@pytest.mark.needs("test_requests_are_answered")
@pytest.mark.points(1)
def test_a_silent_client_is_closed(lab: Lab, submission: Submission) -> None:
    """a client that is silent for too long is closed, and its place is free"""
    program = bank1.start(submission, clients=1, wait_ms=300)
    [silent] = bank1.connect(lab, 1)
    hint = "a timeout for recv(): settimeout(), SO_RCVTIMEO or poll()"
    silent.expect_end(hint=hint)
    # The place is free a moment after FIN: when no thread has anything left to do.
    until(program.is_asleep, WITHIN_S)
    # What is there before the thread looks is never late.
    program.freeze()
    [other] = bank1.connect(lab, 1)
    other.send(b"MOVE 1 2 3\n")
    bank1.wait_until_there(other)
    program.thaw()
    expect_equal(other.line(hint=hint), b"OK", 'the answer to "MOVE 1 2 3"', hint)
