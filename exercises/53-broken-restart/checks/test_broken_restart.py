"""Checks of broken-restart. The contract is in README.md."""

import random
import socket
from pathlib import Path

import pytest

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

PORT = 8080
SERVER = ("10.0.1.1", PORT)
SERVER_FROM = {"client1": SERVER, "client2": ("10.0.2.1", PORT)}

MOST_BYTES = 32 << 20
"""Of what no client can put into the buffers on the way."""

ROOM = 16384
"""In the server's send buffer, where it is small."""


def start(submission: Submission, *, ready: bool = True) -> Program:
    return submission.start("server", "echo_stream", "0.0.0.0", str(PORT), ready=ready)


def expect_echo(client: Tcp, data: bytes, hint: str) -> None:
    """Send something and compare what comes back."""
    client.send(data, hint=hint)
    got = client.receive_exactly(len(data), expected=f"{len(data)} bytes back", hint=hint)
    if got != data:
        place = next(n for n in range(len(data)) if got[n] != data[n])
        expect_equal(got[place:][:8], data[place:][:8], f"bytes from number {place} on", hint)


def expect_served(lab: Lab, node: str, hint: str) -> None:
    client = lab[node].connect(SERVER_FROM[node], hint=hint)
    expect_echo(client, node.encode(), hint)
    client.finish()
    client.expect_end(hint=hint)


@pytest.mark.points(2)
def test_any_bytes_come_back(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """any bytes come back, as they are (report 2)"""
    start(submission)
    client = lab["client1"].connect(SERVER)
    hint = "what ends a string in C is a byte like any other here; recv() says how many came"
    expect_echo(client, b"hello", hint)
    for data in (b"\0", b"one\0two\0", b"\0" * 100, rng.randbytes(5000)):
        expect_echo(client, data, hint)
    client.finish()
    client.expect_end(hint="at the end of the stream close, and take the next client")
    expect_served(lab, "client2", "one client after the other")


@pytest.mark.needs("test_any_bytes_come_back")
@pytest.mark.points(2.5)
def test_no_byte_is_lost_when_the_buffers_are_full(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """no byte is lost when the client reads late (report 3)"""
    # The kernel lets a send buffer grow to megabytes, in which the rest of a piece has room at once.
    lab["server"].set("net.ipv4.tcp_wmem", f"4096 {ROOM} {ROOM}")
    lab["server"].set("net.ipv4.tcp_rmem", f"4096 {16 * ROOM} {16 * ROOM}")
    program = start(submission)
    client = lab["client1"].connect(SERVER, receive_buffer=8192)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * ROOM)
    hint = "send() may take a part only, and says how much: send the rest until all of it is gone"
    block = rng.randbytes(100_003)
    sent = 0
    client.socket.setblocking(False)

    def is_stuck(unread: int) -> bool:
        """Fill whatever takes bytes; true when the server cannot go on, and so has to wait."""
        nonlocal sent
        try:
            while sent < MOST_BYTES:
                sent += client.socket.send(block[sent % len(block) :])
        except BlockingIOError:
            return waits_to_send(lab, program, client, unread)
        except OSError as error:
            unmet("the server waits for a client that reads late", f"it hung up: {error}", hint)
        raise Unmet(
            "the server receives no more while it cannot send",
            f"it has taken {sent} bytes",
            "what you keep of one client is one buffer, not all that he has ever sent",
        )

    # What two sends cannot take together, whoever reads meanwhile; so the next piece does not fit.
    much = 4 * ROOM
    expect(
        # A server that has chosen a small receive buffer never has so much.
        until(lambda: is_stuck(much), WITHIN_S) or is_stuck(0),
        expected="the server sends back what it receives, until the client's buffer is full",
        actual=f"of {sent} bytes it leaves some unread, and none wait to be sent",
        hint=hint,
    )
    got = client.receive_exactly(sent, expected=f"all {sent} bytes back", hint=hint)
    whole = (block * (sent // len(block) + 1))[:sent]
    expect(
        got == whole,
        expected=f"all {sent} bytes back, in their order",
        actual="a part of them is missing",
        hint=hint,
    )
    client.finish()
    client.expect_end(hint=hint)


def waits_to_send(lab: Lab, program: Program, client: Tcp, unread: int) -> bool:
    """Whether the server sleeps though there are more bytes to receive: so it waits for room.

    Looked at twice: one that has just been woken may not look like it yet.
    """

    def sleeps() -> bool:
        before_s = program.cpu_seconds()
        sockets = lab["server"].sockets("tcp", client.address[1])
        is_full = any(s.inode and s.recv_q > unread and s.send_q > 0 for s in sockets)
        states = {state for pid in program.pids() for state in thread_states(pid)}
        return is_full and states <= {"S"} and program.cpu_seconds() == before_s

    return sleeps() and sleeps()


def thread_states(pid: int) -> list[str]:
    """Return the letters of proc_pid_stat(5), one for each thread; X where one has just ended."""
    try:
        stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:
        return ["X"]
    return [stat.rpartition(")")[2].split()[0] for stat in stats]


@pytest.mark.points(2.5)
def test_a_second_live_server_is_refused(lab: Lab, submission: Submission) -> None:
    """a second server beside a live one is refused, and takes no client (report 1)"""
    start(submission)
    second = start(submission, ready=False)
    hint = "an option of setsockopt() is a number, not a flag: which one is 2 | 15?"
    ended = second.expect_exit(1, hint=hint)
    said = ended.stderr.decode(errors="replace").strip()
    expect(
        said.startswith("error: bind: EADDRINUSE"),
        expected="on stderr: error: bind: EADDRINUSE (…)",
        actual=f"on stderr: {said or 'nothing'}",
        hint=hint,
    )
    for node in ("client1", "client2") * 2:
        expect_served(lab, node, hint)


@pytest.mark.points(1.5)
@pytest.mark.parametrize("state", ["FIN-WAIT-2", "TIME-WAIT"])
def test_it_still_restarts_at_once(lab: Lab, submission: Submission, state: str) -> None:
    """killed while it had a client, it still serves again at once"""
    first = start(submission)
    client = lab["client1"].connect(SERVER)
    expect_echo(client, b"hello", "one client after the other")
    first.kill()
    wait_for_state(lab, client, "FIN-WAIT-2")
    if state == "TIME-WAIT":
        client.finish()
        wait_for_state(lab, client, state)
    again = start(submission, ready=False)
    hint = "SO_REUSEADDR, set before bind(), is for that; it was right to want it"
    again.lines_until("READY", hint=hint)
    expect_served(lab, "client2", hint)


def wait_for_state(lab: Lab, client: Tcp, state: str) -> None:
    """Wait until the killed server's end of that connection is in that state."""

    def states() -> list[str]:
        return [s.state for s in lab["server"].sockets("tcp", client.address[1])]

    expect(
        until(lambda: states() == [state], WITHIN_S),
        expected=f"the killed server's end of the connection is in {state}",
        actual=f"it is in {' '.join(states()) or 'no state: it is over'}",
        hint="leave SO_LINGER alone, and let no other process have the connection",
    )


@pytest.mark.needs("test_any_bytes_come_back")
@pytest.mark.points(1.5)
@pytest.mark.parametrize("when", ["while it waits", "while it sends"])
def test_a_client_that_resets_is_one_client(lab: Lab, submission: Submission, when: str) -> None:
    """a client that resets its connection ends nothing but that (report 4)"""
    program = start(submission)
    hint = "recv() and send() can fail: ECONNRESET, EPIPE; end that client, and accept() the next"
    client = lab["client1"].connect(SERVER)
    expect_echo(client, b"hello", hint)
    if when == "while it waits":
        client.reset()
    else:
        program.freeze()
        client.send(b"x" * 5000)
        until(lambda: client.unacknowledged == 0, WITHIN_S)
        client.reset()
        program.thaw()
    try:
        expect_served(lab, "client2", hint)
    finally:
        expect(
            program.is_running(),
            expected="the server goes on",
            actual=f"it {program.how_it_ended()}" if not program.is_running() else "",
            hint=hint,
        )
