"""Checks of simple-nc. The contract is in README.md."""

import random
from concurrent.futures import ThreadPoolExecutor

import peer
import pytest
from peer import PORT, SERVER, connected, expect_error, let_it_be_told, typed, typed_and_received

from labctl.testing import WITHIN_S, Lab, Submission, Tcp, expect, expect_equal, unmet, until

MIB = 1 << 20
RESETS = "tcp[tcpflags] & tcp-rst != 0"

ONLY_ITS_DIRECTION = (
    "the FIN of the server closes its direction only: while there is input, read and send"
)


@pytest.mark.points(1)
def test_what_is_typed_is_sent_at_once(lab: Lab, submission: Submission) -> None:
    """what is typed is sent at once, line end or not"""
    program, server = connected(lab, submission)
    for data in (b"no line end", b" and more", b"\n", b"\n\nlast"):
        typed_and_received(program, server, data)


@pytest.mark.points(1)
def test_the_end_of_the_input_is_a_fin(lab: Lab, submission: Submission) -> None:
    """the end of the input closes one direction, and the program stays until the server closes"""
    program, server = connected(lab, submission)
    server.send(b"welcome")
    until(lambda: server.unacknowledged == 0, WITHIN_S)
    typed(program, b"the end", peer.AT_ONCE)
    program.end_input()
    hint = (
        "at the end of the input shutdown(SHUT_WR): it sends FIN, and this side can still receive"
    )
    received = server.everything(hint=hint)
    expect_equal(received, b"the end", "what arrives before the FIN", peer.AT_ONCE)

    hint = (
        "after shutdown(SHUT_WR) call recv() until it returns nothing: a close() with bytes unread "
        "sends RST, and so does one before the server has closed"
    )
    server.send(b"x" * 1000, hint=hint)
    server.close()
    program.expect_exit(0, hint=hint)
    resets = len(lab.packets(f"tcp dst port {PORT} and {RESETS}", sent_by="client1"))
    expect_equal(resets, 0, "RST sent by the program's side", hint)


def server_states(lab: Lab) -> list[str]:
    return [entry.state for entry in lab["server"].sockets("tcp", PORT)]


@pytest.mark.needs("test_what_is_typed_is_sent_at_once")
@pytest.mark.points(1)
def test_a_server_that_closed_first_is_no_error(lab: Lab, submission: Submission) -> None:
    """when the server has closed first, the end of the input still ends it with exit status 0"""
    program, server = connected(lab, submission)
    typed(program, b"x", peer.AT_ONCE)
    server.receive_exactly(1, expected="what was typed", hint=peer.AT_ONCE)
    server.close()
    let_it_be_told(lab, "CLOSE-WAIT", ONLY_ITS_DIRECTION)
    program.end_input()
    hint = (
        "recv() returns nothing at once; shutdown() or close() sends the FIN that is still missing"
    )
    program.expect_exit(0, hint=hint)
    if not until(lambda: "TIME-WAIT" in server_states(lab), WITHIN_S):
        states = ", ".join(server_states(lab))
        unmet("TIME-WAIT at the server, which has closed first", states, hint)


@pytest.mark.points(1)
def test_nobody_listening_is_told(submission: Submission) -> None:
    """a server that is not there is told: error: connect: ECONNREFUSED, exit status 1"""
    program = submission.start("client1", "simple_nc", *map(str, SERVER), ready=False)
    hint = "catch the error of connect(): one line on stderr, and exit 1"
    expect_error(program, "connect", "ECONNREFUSED", hint)


def read_slowly(lab: Lab, server: Tcp) -> bytes:
    """Read to the end, beginning when the program cannot send any more."""
    window_0 = f"tcp src port {PORT} and tcp[14:2] = 0 and not {RESETS}"
    hint = "send on until the kernel has no room, then wait for room; and send the rest"
    if not until(lambda: lab.packets(f"({window_0})", sent_by="server"), 2 * WITHIN_S):
        unmet(
            "it sends until the server's receive buffer is full",
            f"{server.unread} bytes arrive, and no more",
            hint,
        )
    data = b""
    while chunk := server.receive(2000, expected=f"{MIB} bytes and FIN", hint=hint):
        data += chunk
    return data


@pytest.mark.needs("test_what_is_typed_is_sent_at_once", "test_the_end_of_the_input_is_a_fin")
@pytest.mark.points(2)
def test_every_byte_arrives_at_a_slow_reader(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """a megabyte of any bytes arrives as it was, at a server that reads slowly"""
    # Little room at both ends, so that what send() gets seldom fits.
    lab["client1"].set("net.ipv4.tcp_wmem", "4096 16384 16384")
    lab["server"].set("net.ipv4.tcp_rmem", "4096 8192 8192")
    program, server = connected(lab, submission)
    data = rng.randbytes(MIB)

    def feed() -> None:
        hint = "read on while the server takes what you have sent"
        typed(program, data, hint, within_s=4 * WITHIN_S)
        program.end_input()

    with ThreadPoolExecutor(1) as pool:
        fed = pool.submit(feed)
        received = read_slowly(lab, server)
        fed.result()
    hint = (
        "send() may take a part and returns how many bytes: send the rest again, or use sendall(); "
        "read bytes, not text"
    )
    expect_equal(len(received), len(data), "bytes that arrive", hint)
    differs = next((i for i in range(MIB) if received[i] != data[i]), None)
    expect(
        differs is None,
        expected="the bytes are those of the input",
        actual=f"byte {differs} is another one",
        hint=hint,
    )


@pytest.mark.needs("test_what_is_typed_is_sent_at_once")
@pytest.mark.points(2)
def test_a_server_that_has_gone_is_told_as_epipe(lab: Lab, submission: Submission) -> None:
    """a server that has gone with nothing unread: the second send fails, and EPIPE is told"""
    program, server = connected(lab, submission)
    typed_and_received(program, server, b"a")
    server.close()
    let_it_be_told(lab, "CLOSE-WAIT", ONLY_ITS_DIRECTION)
    typed(program, b"b", ONLY_ITS_DIRECTION)
    # It fills a buffer, and brings back RST.
    let_it_be_told(lab, "", ONLY_ITS_DIRECTION)
    hint = f"the first send() after the FIN succeeds; {ONLY_ITS_DIRECTION}"
    if not program.is_running():
        unmet("the program reads on after the first send()", f"it {program.how_it_ended()}", hint)
    typed(program, b"c", hint)
    hint = (
        "this send() fails with EPIPE: tell it, and exit 1; it raises SIGPIPE too, which kills a "
        "program that does nothing about it (MSG_NOSIGNAL, or SIG_IGN)"
    )
    expect_error(program, "send", "EPIPE", hint)


@pytest.mark.needs("test_what_is_typed_is_sent_at_once")
@pytest.mark.points(1)
def test_a_server_that_left_bytes_unread_is_told_as_econnreset(
    lab: Lab, submission: Submission
) -> None:
    """a server that has gone with bytes unread: the first send fails, and ECONNRESET is told"""
    program, server = connected(lab, submission)
    typed(program, b"x" * 100, peer.AT_ONCE)
    arrived = until(lambda: server.unread == 100, WITHIN_S)
    expect(arrived, expected="100 bytes arrive", actual=f"{server.unread} do", hint=peer.AT_ONCE)
    server.close()
    let_it_be_told(lab, "", peer.AT_ONCE)
    typed(program, b"y", "while there is input, read and send: send() is what tells")
    hint = "send() has failed: tell which call and which error on stderr, and exit 1"
    expect_error(program, "send", "ECONNRESET", hint)


@pytest.mark.needs("test_the_end_of_the_input_is_a_fin")
@pytest.mark.points(1)
def test_a_reset_at_the_end_is_told(lab: Lab, submission: Submission) -> None:
    """a server that resets the connection after the end of the input is told as ECONNRESET"""
    program, server = connected(lab, submission)
    program.end_input()
    server.expect_end(hint="at the end of the input shutdown(SHUT_WR)")
    server.reset()
    hint = "the recv() that waits for the server's end has failed: an error is not the end"
    expect_error(program, "recv", "ECONNRESET", hint)
