"""Checks of udp-refused. The contract is in README.md."""

import random
import re
import socket
import struct

import pytest
import time1

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Submission,
    Udp,
    Unmet,
    expect,
    expect_equal,
    machine_error,
    unmet,
    until,
)

ADDRESS = "10.0.1.1"

LONG_MS = "20000"
"""Much longer than any check waits: who ends before has not waited for the time to be over."""

CONNECT_HINT = (
    "connect() the socket: only then the kernel tells it of the refusal, and recv() fails with "
    "ECONNREFUSED"
)
STEP_HINT = (
    "with -s: for each line of the input, to its end, one request and one line on stdout, flushed; "
    "also after a refusal"
)


def some_port(rng: random.Random) -> int:
    return rng.randrange(1024, 32768)


def start(submission: Submission, port: int, wait_ms: str = LONG_MS, *more: str) -> Program:
    arguments = (ADDRESS, str(port), "-t", wait_ms, *more)
    return submission.start("client1", "time_client", *arguments, ready=False)


def step(client: Program) -> None:
    """Feed it a line, for which it is to send a request."""
    try:
        client.write(b"\n")
    except Unmet as error:
        unmet("it reads its input to the end", error.actual, STEP_HINT)


def expect_refused(client: Program, number: int) -> None:
    step(client)
    line = client.line(expected=f"a line about request {number}", hint=STEP_HINT)
    expect_equal(line, "refused", f"the line about request {number}", CONNECT_HINT)


def expect_request(server: Udp, client: Program, hint: str) -> tuple[bytes, tuple[str, int]]:
    """Receive a request; return it and who sent it."""
    try:
        data, sender = server.receive_from(expected="a request", hint=hint)
    except Unmet as error:
        last = client.stdout.decode(errors="backslashreplace").splitlines()[-1:]
        said = f", and the program has printed: {last[0]}" if last else ""
        actual = f"{error.actual}{said}"
        if not client.is_running():
            actual = f"the program {client.how_it_ended()}"
        unmet(error.expected, actual, hint)
    expect(
        time1.is_request(data),
        expected="a request of TIME/1, 16 bytes",
        actual=f"{len(data)} bytes: {data[:24].hex()}",
        hint="README.md has every byte of a request",
    )
    return data, sender


def expect_answer_line(line: str, t_server: int, hint: str) -> None:
    expect(
        re.fullmatch(rf"time seq=\d+ ns={t_server} rtt_us=\d+ tries=1", line),
        expected=f"the line time seq=… ns={t_server} rtt_us=… tries=1",
        actual=f"the line {line}",
        hint=hint,
    )


def expect_refusal_seen(lab: Lab, port: int) -> None:
    """Make sure that there was something to notice."""
    expect(
        until(lambda: requests(lab, port), WITHIN_S),
        expected="a request on the wire",
        actual="there is none",
        hint="send the request first: whether somebody is there shows only then",
    )
    unreachable = "icmp[0] == 3 and icmp[1] == 3"
    if not until(lambda: lab.packets(unreachable, received_by="client1"), WITHIN_S):
        raise machine_error("the server's kernel did not refuse the request", where="check")


def requests(lab: Lab, port: int) -> list:
    return lab.packets(f"udp and dst port {port}", received_by="server")


def close(lab: Lab, server: Udp, port: int) -> None:
    """Close the check's socket; on return the kernel has given the port back."""
    server.close()
    # Whoever made the socket for the check may have it open for a moment longer.
    if not until(lambda: not lab["server"].sockets("udp", port), WITHIN_S):
        raise machine_error("a socket that the check has closed is still there", where="check")


def checksum(data: bytes) -> int:
    """Return the Internet checksum of an even number of bytes (RFC 1071)."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def refuse(lab: Lab, sender: tuple[str, int], port: int) -> None:
    """Refuse a datagram that client1 has sent, as a host does where nobody has the port."""
    match = f"udp and src port {sender[1]} and dst port {port}"
    seen = until(lambda: lab.packets(match, received_by="server"), WITHIN_S)
    if not seen:
        raise machine_error("a datagram that arrived was not seen on the wire", where="check")
    quote = seen[0].frame[14 : 14 + 20 + 8]
    head = struct.pack("!BBHI", 3, 3, 0, 0)
    head = struct.pack("!BBHI", 3, 3, checksum(head + quote), 0)
    raw = lab["server"].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    raw.sendto(head + quote, (sender[0], 0))
    arrived = f"icmp[0] == 3 and icmp[28:2] == {sender[1]}"
    if not until(lambda: lab.packets(arrived, received_by="client1"), WITHIN_S):
        raise machine_error("a refusal made by the check did not arrive", where="check")


@pytest.mark.points(1)
def test_an_answer_is_printed(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """an answer is printed, and ends it with exit status 0"""
    port, t_server = some_port(rng), rng.randrange(10**18, 2 * 10**18)
    server = lab["server"].udp(bind=("0.0.0.0", port))
    client = start(submission, port)
    data, sender = expect_request(server, client, "send one of 16 bytes")
    server.send(time1.answer(data, t_server), to=sender)
    expect_answer_line(
        client.line(expected="a line about the answer"), t_server, "ns= is the server's number"
    )
    client.expect_exit(0, hint="one answer is enough: print it and end")


@pytest.mark.needs("test_an_answer_is_printed")
@pytest.mark.points(4)
def test_a_refusal_ends_it_at_once(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """a refusal ends it at once, with exit status 4"""
    port = some_port(rng)
    client = start(submission, port)
    try:
        client.end(expected="the program ends when it is refused", hint=CONNECT_HINT)
    except Unmet as error:
        if (count := len(requests(lab, port))) > 1:
            hint = "a refusal is an answer: exit 4, and do not ask again"
            unmet(error.expected, f"{error.actual}, and has asked {count} times", hint)
        raise
    expect_refusal_seen(lab, port)
    ended = client.expect_exit(
        4,
        hint="ECONNREFUSED from send() or recv() is the refusal: catch it, and exit 4 for it and for "
        "nothing else",
    )
    told = ended.stderr.decode(errors="backslashreplace").splitlines()
    expect(
        len(told) == 1 and re.match(r"error: (recv\w*|send\w*|read|write): ECONNREFUSED", told[0]),
        expected="one line on stderr: error: recv: ECONNREFUSED (…)",
        actual=told[-1] if told else "nothing on stderr",
        hint="say which call failed, and the name of errno",
    )
    expect_equal(ended.stdout, b"", "stdout", "only an answer goes to stdout")


@pytest.mark.needs("test_an_answer_is_printed")
@pytest.mark.points(1)
def test_silence_is_no_refusal(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """silence is no refusal: exit status 3 when the time is over"""
    lost = {"drop": {"match": "icmp", "packets": [1]}}
    hint = (
        "the time is over, and that is all the program knows; in Python TimeoutError and "
        "ConnectionRefusedError are both OSError, in C EAGAIN and ECONNREFUSED are both -1"
    )
    # Nobody has the port, and the message that says so is lost.
    with lab.faults({"server->client1": [lost]}):
        client = start(submission, some_port(rng), "300")
        ended = client.expect_exit(3, hint=hint)
    expect(
        b"error: no answer" in ended.stderr,
        expected="on stderr: error: no answer",
        actual=f"on stderr: {ended.stderr.decode(errors='backslashreplace').strip() or 'nothing'}",
        hint=hint,
    )


@pytest.mark.needs("test_a_refusal_ends_it_at_once")
@pytest.mark.points(3)
def test_a_refused_socket_can_ask_again(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """with -s a request after a refused one is answered, from the same socket"""
    port, t_server = some_port(rng), rng.randrange(10**18, 2 * 10**18)
    client = start(submission, port, LONG_MS, "-s")
    expect_refused(client, 1)
    expect_refusal_seen(lab, port)

    server = lab["server"].udp(bind=("0.0.0.0", port))
    step(client)
    data, sender = expect_request(
        server, client, "`refused` is one line of many: read on, and ask again"
    )
    server.send(time1.answer(data, t_server), to=sender)
    line = client.line(expected="a line about request 2, which is answered", hint=STEP_HINT)
    expect_answer_line(line, t_server, "the refusal was of request 1; the error is told only once")

    close(lab, server, port)
    expect_refused(client, 3)
    ports = {int.from_bytes(seen.frame[34:36], "big") for seen in requests(lab, port)}
    expect(
        len(ports) == 1,
        expected="all requests come from one port",
        actual=f"they come from the ports {', '.join(map(str, sorted(ports)))}",
        hint="make the socket once, before the loop; a refusal does not spoil it",
    )
    client.end_input()
    client.expect_exit(0, hint="at the end of the input exit 0, whatever became of the requests")


@pytest.mark.needs("test_a_refused_socket_can_ask_again")
@pytest.mark.points(1)
def test_a_late_refusal_is_not_taken_for_the_next_request(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """with -s a refusal that comes late is not taken for one of the next request"""
    port, t_server = some_port(rng), rng.randrange(10**18, 2 * 10**18)
    server = lab["server"].udp(bind=("0.0.0.0", port))
    client = start(submission, port, LONG_MS, "-s")
    step(client)
    data, sender = expect_request(server, client, STEP_HINT)
    server.send(time1.answer(data, t_server), to=sender)
    line = client.line(expected="a line about request 1", hint=STEP_HINT)
    expect_answer_line(line, t_server, STEP_HINT)

    elsewhere = lab["server"].udp(bind=(ADDRESS, 0))
    witness = lab["client1"].udp(to=elsewhere.address)
    witness.send(b"to be refused too")
    refuse(lab, sender, port)
    refuse(lab, witness.address, elsewhere.address[1])
    # This one came after the other, by the same way: so the kernel has both.
    if witness.error() != "ECONNREFUSED":
        raise machine_error("a refusal made by the check does not work here", where="check")

    step(client)
    hint = (
        "send() fails with ECONNREFUSED for what came before, and then it has sent nothing: "
        "send again"
    )
    data, sender = expect_request(server, client, hint)
    server.send(time1.answer(data, t_server + 1), to=sender)
    line = client.line(expected="a line about request 2", hint=hint)
    expect_answer_line(line, t_server + 1, hint)
