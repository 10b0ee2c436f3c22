"""Checks of udp-echo-trunc. The contract is in README.md."""

import random

import pytest

from labctl.testing import Lab, Program, Submission, Udp, expect, expect_equal

BUFFER = 64
SERVER = ("10.0.1.1", 5678)

ECHO_HINT = (
    "recvfrom() says who sent it, sendto() answers there; connect() would shut out all others"
)
WHOLE_HINT = (
    "send back what came, as many bytes as the receive call says: they are no text, and have no zero "
    "at the end"
)
CUT_HINT = "the buffer has 64 bytes: what does not fit is cut off, and the rest is not sent"
NEXT_HINT = "one receive call is one datagram: what did not fit into the buffer is gone, not kept"
LINE_HINT = "one line for each datagram: recv= the bytes in the buffer, trunc= 1 if some were cut"
FLAG_HINT = (
    "64 bytes may be a whole datagram: whether it was cut only the flag MSG_TRUNC says, "
    "which recvmsg() returns in msg_flags"
)


def start(submission: Submission) -> Program:
    """Start the server as it starts by itself: at all addresses, port 5678."""
    return submission.start("server", "echo_server")


def bytes_text(size: int) -> str:
    return "1 byte" if size == 1 else f"{size} bytes"


def echo(client: Udp, datagram: bytes, hint: str = ECHO_HINT) -> bytes:
    # Not connected: an answer from a wrong port arrives too, and is told apart by its own check.
    client.send(datagram, to=SERVER)
    return client.receive(expected=f"an answer to {bytes_text(len(datagram))}", hint=hint)


def expect_echo(client: Udp, datagram: bytes, hint: str) -> None:
    """Send a datagram and compare the answer with its first 64 bytes."""
    came, right = echo(client, datagram, hint), datagram[:BUFFER]
    what = f"the answer to {bytes_text(len(datagram))}"
    expect_equal(len(came), len(right), f"bytes in {what}", hint)
    expect_equal(came.hex(" "), right.hex(" "), what, hint)


@pytest.mark.points(2)
@pytest.mark.parametrize("size", [1, BUFFER - 1, BUFFER])
def test_what_fits_comes_back_whole(
    lab: Lab, submission: Submission, rng: random.Random, size: int
) -> None:
    """a datagram of 1 to 64 bytes comes back as it was"""
    start(submission)
    expect_echo(lab["client1"].udp(), rng.randbytes(size), WHOLE_HINT)


@pytest.mark.needs("test_what_fits_comes_back_whole")
@pytest.mark.points(2)
@pytest.mark.parametrize("size", [BUFFER + 1, 1400, 4000])
def test_what_is_longer_comes_back_cut(
    lab: Lab, submission: Submission, rng: random.Random, size: int
) -> None:
    """of a longer datagram the first 64 bytes come back"""
    start(submission)
    expect_echo(lab["client1"].udp(), rng.randbytes(size), CUT_HINT)


@pytest.mark.needs("test_what_is_longer_comes_back_cut")
@pytest.mark.points(1)
def test_the_next_datagram_is_intact(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """the rest of a cut datagram does not come back later, and the next datagram is intact"""
    start(submission)
    client = lab["client1"].udp()
    # The server sends in order: a rest would come before the answer to the next datagram.
    for size in (200, 10, 300, BUFFER, 1400, 1):
        expect_echo(client, rng.randbytes(size), NEXT_HINT)


@pytest.mark.needs("test_the_next_datagram_is_intact")
@pytest.mark.points(2)
def test_it_says_what_was_cut(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """it says how many bytes it got, and whether there were more"""
    server = start(submission)
    client = lab["client1"].udp()
    sizes = [BUFFER - 1, BUFFER, BUFFER + 1, 1400, BUFFER, 1]
    rng.shuffle(sizes)
    for size in sizes:
        echo(client, rng.randbytes(size))
        wanted = f"recv={min(size, BUFFER)} trunc={int(size > BUFFER)}"
        said = server.line(expected=f'the line "{wanted}" for {size} bytes', hint=LINE_HINT)
        is_flag_wrong = said[:-1] == wanted[:-1]
        hint = FLAG_HINT if is_flag_wrong else LINE_HINT
        expect_equal(said, wanted, f"the line for {bytes_text(size)}", hint)


@pytest.mark.needs("test_what_fits_comes_back_whole")
@pytest.mark.points(2)
def test_an_empty_datagram_is_one_too(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """an empty datagram comes back empty, and ends nothing"""
    server = start(submission)
    client = lab["client1"].udp()
    hint = "on UDP zero bytes are an empty datagram, not the end: answer it like any other"
    expect_equal(echo(client, b"", hint), b"", "the answer to an empty datagram", hint)
    expect_equal(server.line(hint=LINE_HINT), "recv=0 trunc=0", "the line for it", LINE_HINT)
    expect_echo(client, rng.randbytes(5), hint)


@pytest.mark.needs("test_what_fits_comes_back_whole")
@pytest.mark.points(1)
def test_each_client_gets_its_own(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """at the port that it is given, two clients in turn get their own bytes back from there"""
    port = rng.randrange(6000, 32768)
    submission.start("server", "echo_server", "0.0.0.0", str(port))
    expect(
        lab["server"].sockets("udp", port),
        expected=f"a UDP socket bound to port {port}",
        actual="`ss -aun` shows none in the server's node",
        hint="ADDRESS and PORT are on the command line; 0.0.0.0 and 5678 are for when they are not",
    )
    clients = [(lab["client1"].udp(), "10.0.1.1"), (lab["client2"].udp(), "10.0.2.1")]
    for turn in range(4):
        client, address = clients[turn % 2]
        datagram = rng.randbytes(20)
        client.send(datagram, to=(address, port))
        came, sender = client.receive_from(expected="an answer to each client", hint=ECHO_HINT)
        hint = "send the answer with the socket that received the datagram"
        asked = f"{address}:{port}"
        expect_equal(f"{sender[0]}:{sender[1]}", asked, "sender of the answer", hint)
        expect_equal(came.hex(" "), datagram.hex(" "), "the answer", ECHO_HINT)
