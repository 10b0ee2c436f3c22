"""Checks of flow-control. The contract is in README.md."""

import random
import socket
from contextlib import suppress

import pytest
import random1
from random1 import PORT, SERVER, SERVER_FROM_CLIENT2, SMALL_BUFFER

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

STREAM = "README.md says how each byte is made, and where the table begins again"
MOST_MEMORY = 32 << 20


def some_seed(rng: random.Random) -> int:
    return rng.randrange(2**31)


def start_server(submission: Submission) -> Program:
    return submission.start("server", "random_server", "0.0.0.0", str(PORT))


@pytest.mark.points(1)
def test_the_stream_is_right(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """the server sends the stream that is asked for, and then the next one"""
    start_server(submission)
    client = lab["client1"].connect(SERVER)
    for length in (rng.randrange(65522, 200_000), 16, 0, 1):
        hint = f"a stream of {length} bytes; {STREAM}; then the next request of the same client"
        random1.fetch(client, some_seed(rng), length, hint)
    client.finish()
    rest = client.everything(hint="when the client has finished (recv() returns 0), close")
    expect_equal(rest, b"", "bytes after the last stream", STREAM)


@pytest.mark.needs("test_the_stream_is_right")
@pytest.mark.points(2)
def test_a_slow_reader_gets_every_byte(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """a slow reader gets every byte, unchanged and in order"""
    # So little room that no piece of usual size fits, however late the server looks for it.
    lab["server"].set("net.ipv4.tcp_wmem", "4096 8192 8192")
    program = start_server(submission)
    seed, length = some_seed(rng), rng.randrange(1 << 20, 2 << 20)
    client = random1.stall(lab, seed, length)
    wanted = random1.stream(seed, length)
    hint = (
        "send() may take fewer bytes than you give it, or none (EAGAIN): look at what it returns, "
        "and send the rest later; sendall() does that in Python"
    )
    at = 0
    for _ in range(5):
        # A call that waits for room is interrupted by this, with a part of its bytes taken.
        random1.let_it_fill(lab, program, client)
        program.freeze()
        program.thaw()
        step = rng.randrange(30_000, 60_000)
        random1.expect_rest(client, wanted[at : at + step], hint)
        at += step
    random1.expect_rest(client, wanted[at:], hint)


@pytest.mark.needs("test_the_stream_is_right")
@pytest.mark.points(2)
def test_another_client_is_served_meanwhile(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """another client is served while a slow one does not read"""
    start_server(submission)
    slow = random1.stall(lab, some_seed(rng), 8 << 20)
    other = lab["client2"].connect(SERVER_FROM_CLIENT2)
    hint = (
        "send() waits for the slow client: give each client a thread or process, or let poll() say "
        "which of them has room"
    )
    random1.fetch(other, some_seed(rng), 300_000, hint)
    expect(
        any(s.state == "ESTAB" for s in lab["server"].sockets("tcp", slow.address[1])),
        expected="the slow client is still connected",
        actual="the server has closed its connection",
        hint="a client may be slow: wait until it has room",
    )


@pytest.mark.needs("test_another_client_is_served_meanwhile")
@pytest.mark.points(1)
def test_the_memory_of_the_server_is_bounded(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """the server's memory does not grow with what a slow client asks for"""
    program = start_server(submission)
    other = lab["client2"].connect(SERVER_FROM_CLIENT2)
    random1.fetch(other, some_seed(rng), 300_000, STREAM)
    before = program.resident_bytes()
    random1.stall(lab, some_seed(rng), 96 << 20)
    # The server goes on with its work for others, and could go on with this client's, too.
    for _ in range(10):
        random1.fetch(other, some_seed(rng), 300_000, "another client is served meanwhile")
    grown = program.resident_bytes() - before
    expect(
        grown < MOST_MEMORY,
        expected=f"less than {MOST_MEMORY >> 20} MiB more for a client who asks for 96 MiB and does "
        "not read",
        actual=f"{grown >> 20} MiB more",
        hint="make the next piece when the one before has been sent; a queue that takes everything "
        "only moves the problem into your memory",
    )


def expect_request(server: Tcp, seed: int, length: int) -> None:
    wanted = random1.request(seed, length)
    hint = "one line of RANDOM/1, with the numbers of -s and -n"
    got = server.line(expected="a request", hint=hint)
    expect_equal(got + b"\n", wanted, "the request", hint)


@pytest.mark.points(1)
def test_the_client_writes_what_it_receives(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """the client writes every byte that it receives, however they come"""
    seed, length = some_seed(rng), 300_000
    listener = lab["server"].listen(PORT)
    client = submission.start(
        "client1",
        "random_client",
        *map(str, SERVER),
        *("-s", str(seed), "-n", str(length)),
        ready=False,
    )
    server = listener.accept()
    expect_request(server, seed, length)
    data = random1.stream(seed, length)
    hint = (
        "recv() returns what is there: go on until LENGTH bytes have come, and write each of them"
    )
    at = 0
    for size in (1, 2, rng.randrange(3, 2000), length):
        try:
            server.send(data[at : at + size])
        except Unmet:
            break  # it has ended, and what it has written by then is compared
        # The next piece comes when this one has been written.
        at = min(at + size, length)
        until(lambda at=at: len(client.stdout) >= at or not client.is_running(), WITHIN_S)
    ended = client.expect_exit(0, hint="end when LENGTH bytes have come: exit status 0")
    random1.expect_stream(ended.stdout, data, hint)


@pytest.mark.needs("test_the_client_writes_what_it_receives")
@pytest.mark.points(1)
def test_the_client_reports_a_stream_that_ends_early(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """the client reports a stream that ends early: exit status 1"""
    seed = some_seed(rng)
    listener = lab["server"].listen(PORT)
    client = submission.start(
        "client1", "random_client", *map(str, SERVER), "-s", str(seed), "-n", "1000", ready=False
    )
    server = listener.accept()
    expect_request(server, seed, 1000)
    data = random1.stream(seed, 999)
    server.send(data)
    server.close()
    hint = "recv() returned 0 bytes before LENGTH had come: say so on stderr, and exit 1"
    ended = client.expect_exit(1, hint=hint)
    expect(
        ended.stderr.startswith(b"error: recv: "),
        expected="on stderr: error: recv: …",
        actual=f"on stderr: {ended.stderr.decode(errors='backslashreplace').strip() or 'nothing'}",
        hint=hint,
    )
    random1.expect_stream(ended.stdout, data, "what has come is written, all the same")


@pytest.mark.needs("test_the_client_writes_what_it_receives")
@pytest.mark.points(1)
def test_the_receive_buffer_is_set_before_connecting(lab: Lab, submission: Submission) -> None:
    """-b sets the receive buffer before the connection is made"""
    listener = lab["server"].listen(PORT)
    submission.start(
        "client1", "random_client", *map(str, SERVER), "-b", str(SMALL_BUFFER), ready=False
    )
    listener.accept()
    [syn, *_] = lab.packets(random1.FIRST_SYN, sent_by="client1")
    window = int.from_bytes(syn.frame[14 + 20 + 14 :][:2], "big")
    expect(
        window <= 2 * SMALL_BUFFER,
        expected=f"SYN offers a window of no more than {2 * SMALL_BUFFER} bytes",
        actual=f"it offers {window}",
        hint="setsockopt(SO_RCVBUF) comes between socket() and connect(): the handshake settles how "
        "large the window can be",
    )


@pytest.mark.needs("test_the_client_writes_what_it_receives")
@pytest.mark.points(2)
def test_the_client_reads_no_more_than_it_is_told(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """with -i the client reads no more than it is told, and its window closes"""
    seed, length = some_seed(rng), 2 << 20
    listener = lab["server"].listen(PORT)
    client = submission.start(
        "client1",
        "random_client",
        *map(str, SERVER),
        *("-s", str(seed), "-n", str(length), "-b", str(SMALL_BUFFER), "-i"),
        ready=False,
    )
    server = listener.accept()
    # Whatever waits here is far from all of it.
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    expect_request(server, seed, length)
    data = random1.stream(seed, length)
    hint = (
        "for each line of the input receive so many bytes, and then read the next line; what nobody "
        "receives fills the buffer, and the kernel closes the window"
    )
    sent = told = 0

    def told_and_no_more() -> bool:
        nonlocal sent
        sent += random1.push(server, data[sent:])
        return len(client.stdout) >= told

    def has_stopped() -> bool:
        """Send on; true when the program takes no more, or has taken all."""
        nonlocal sent
        sent += random1.push(server, data[sent:])
        # A window may close for a moment, while whoever goes on reading does not come to it.
        return sent == length or (
            random1.leaves_it_unread(lab, client, server.peer[1])
            and bool(lab.packets(random1.ZERO_WINDOW, sent_by="client1"))
        )

    for _ in range(3):
        told += rng.randrange(1, 30_000)
        step = told - len(client.stdout)
        client.write(f"{step}\n".encode())
        if not until(told_and_no_more, 2 * WITHIN_S):
            unmet(
                f"{told} bytes on stdout after the line {step}",
                f"there are {len(client.stdout)}",
                hint,
            )
        expect(
            until(has_stopped, 2 * WITHIN_S) and sent < length,
            expected=f"the window closes: the client was told to read {told} bytes",
            actual=f"it has taken {sent - server.unacknowledged} bytes from the network",
            hint=hint,
        )
        random1.expect_stream(client.stdout, data[:told], hint)

    def has_ended() -> bool:
        """Send on; true when the program has ended, or has taken all."""
        nonlocal sent
        with suppress(ConnectionError):
            sent += random1.push(server, data[sent:])
        return not client.is_running() or sent == length

    client.end_input()
    until(has_ended, 2 * WITHIN_S)
    hint = "at the end of the input end as well: nobody wants the rest of the stream"
    expect(
        sent < length,
        expected=f"the client was told to read {told} bytes, and its input has ended: it ends",
        actual=f"it has gone on to take {length} bytes from the network",
        hint=hint,
    )
    ended = client.expect_exit(0, hint=hint)
    expect_equal(len(ended.stdout), told, "bytes on stdout, when the input has ended", hint)
