"""Checks of byte-sink. The contract is in README.md."""

import errno
import random
import socket

import pytest
from sink import (
    SERVER,
    SERVER_FROM_CLIENT2,
    accepted,
    answered,
    expect_acknowledged,
    expect_answer,
    expect_received,
    expect_waiting,
    listening,
    server_end,
    started,
    tell,
)

from labctl.testing import (
    WITHIN_S,
    Lab,
    Submission,
    Tcp,
    expect,
    expect_equal,
    machine_error,
    unmet,
    until,
)


@pytest.mark.points(2)
def test_a_bound_port_refuses(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """after b the port is taken, and a client is refused"""
    port = rng.randrange(1024, 32768)
    program = submission.start("server", "byte_sink", "10.0.1.1", str(port), ready=False)
    answered(program, "b", f"BOUND 10.0.1.1:{port}")

    with lab["server"].socket(socket.AF_INET, socket.SOCK_STREAM) as other:
        try:
            other.bind(("10.0.1.1", port))
            unmet(
                "the port is taken: another socket's bind fails with EADDRINUSE",
                "another socket could bind it",
                "b calls bind(), and keeps the socket open",
            )
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    expect_equal(
        lab["client1"].connect_error(("10.0.1.1", port)) or "connected",
        "ECONNREFUSED",
        "connect() of a client before l",
        "b calls bind() and nothing else: listen() is for the command l",
    )


@pytest.mark.points(1)
def test_the_kernel_connects_before_accept(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """after l a client is connected and its data is taken, before anybody accepts"""
    program = started(submission, backlog=5)
    hint = "l calls listen(), and accept() is for the command a"
    size = rng.randrange(500, 1400)
    client = lab["client1"].connect(SERVER, hint=hint)
    client.send(rng.randbytes(size), hint=hint)
    expect_acknowledged(client, hint)
    expect_received(lab, client, "ESTAB", size, hint)
    expect_waiting(lab, 1, hint)
    accepted(program, client)


@pytest.mark.needs("test_the_kernel_connects_before_accept")
@pytest.mark.points(1)
def test_accept_puts_nothing_on_the_wire(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """a takes the connection from the queue, and puts nothing on the wire"""
    program = started(submission, backlog=5)
    size = rng.randrange(500, 1400)
    client = lab["client1"].connect(SERVER)
    client.send(rng.randbytes(size))
    expect_acknowledged(client, "")
    # All is acknowledged, both ways: the kernel has nothing more to send by itself.
    before = len(lab.packets("tcp", sent_by="server"))

    accepted(program, client)

    hint = "a calls accept() and nothing else: no send(), no recv()"
    expect_waiting(lab, 0, hint)
    expect_received(lab, client, "ESTAB", size, hint)
    # Its answer comes after whatever `a` has done.
    answered(program, "r 1", "RECEIVED 1")
    sent = len(lab.packets("tcp", sent_by="server")) - before
    expect_equal(sent, 0, "packets sent by the server at accept", hint)


@pytest.mark.needs("test_the_kernel_connects_before_accept")
@pytest.mark.points(2)
def test_the_backlog_holds_one_more(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """l N lets N + 1 clients wait; the next one's SYN is dropped until there is room"""
    backlog = rng.randrange(1, 5)
    program = started(submission, backlog)
    hint = "l N: listen(N), with the number of the command"
    entry = listening(lab)
    expect(entry, expected="a socket in LISTEN", actual="none listens", hint=hint)
    expect_equal(entry.send_q, backlog, "Send-Q of the LISTEN socket, its backlog", hint)
    clients: list[Tcp] = []
    for number in range(backlog + 1):
        node, server = [("client1", SERVER), ("client2", SERVER_FROM_CLIENT2)][number % 2]
        clients.append(lab[node].connect(server, hint=hint))
        # The client is connected one ACK earlier than the server.
        expect_waiting(lab, number + 1, hint)

    one_more = lab["client1"].socket(socket.AF_INET, socket.SOCK_STREAM)
    one_more.setblocking(False)
    one_more.connect_ex(SERVER)
    port = one_more.getsockname()[1]
    syn = f"tcp src port {port} and tcp[tcpflags] & tcp-syn != 0"
    if not until(lambda: lab.packets(syn, received_by="server"), WITHIN_S):
        raise machine_error("the SYN of one client more has not arrived", where="check")
    # What comes after the SYN is answered: the SYN was not.
    clients[0].send(b"x")
    expect_acknowledged(clients[0], hint)
    expect_waiting(lab, backlog + 1, hint)
    answers = len(lab.packets(f"tcp dst port {port}", sent_by="server"))
    expect_equal(answers, 0, f"answers to the SYN of client {backlog + 2}", hint)

    # The kernel sends the SYN again, after a second for the first time.
    accepted(program, clients[0])
    hint = "a takes one connection from the queue, and so makes room for another"
    in_time = 4 * WITHIN_S
    if not until(lambda: server_end(lab, Tcp(one_more)), in_time):
        unmet("after a the waiting client is connected", "its SYN is not answered", hint)
    expect_waiting(lab, backlog + 1, hint)


@pytest.mark.needs("test_accept_puts_nothing_on_the_wire")
@pytest.mark.points(2)
def test_recv_takes_what_is_there(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """r N takes what is there, N bytes at most, and waits only where nothing is there"""
    program = started(submission, backlog=1)
    tell(program, "a")
    client = lab["client1"].connect(SERVER)
    address, port = client.address
    expect_answer(program, "a", f"ACCEPTED {address}:{port}", "a waits until a client is there")
    size = rng.randrange(500, 1400)
    first = rng.randrange(1, size)
    client.send(rng.randbytes(size))
    expect_received(lab, client, "ESTAB", size, "recv() is for the command r")

    hint = "r N calls recv(N) once, without buffering: what it does not ask for stays in Recv-Q"
    answered(program, f"r {first}", f"RECEIVED {first}", hint)
    expect_received(lab, client, "ESTAB", size - first, hint)
    hint = "r N calls recv(N) once: it returns what is there, and does not wait for all of N"
    answered(program, "r 2000", f"RECEIVED {size - first}", hint)
    expect_received(lab, client, "ESTAB", 0, hint)
    tell(program, "r 2000")
    client.send(b"late")
    expect_answer(program, "r 2000", "RECEIVED 4", hint)


@pytest.mark.needs("test_accept_puts_nothing_on_the_wire")
@pytest.mark.points(1)
def test_the_end_of_the_stream_is_told(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """r answers EOF when all is read and the client has closed; c closes this side too"""
    program = started(submission, backlog=1)
    client = lab["client1"].connect(SERVER)
    accepted(program, client)
    size = rng.randrange(1, 100)
    client.send(rng.randbytes(size))
    client.finish()
    # The kernel counts the FIN as a byte.
    expect_received(lab, client, "CLOSE-WAIT", size + 1, "r and c come later: do nothing before")
    answered(program, "r 100", f"RECEIVED {size}", "what came before the FIN can still be read")
    hint = "recv() returned 0 bytes: that is the end, EOF; c is the command that closes"
    answered(program, "r 100", "EOF", hint)
    expect_received(lab, client, "CLOSE-WAIT", 0, hint)
    answered(program, "r 100", "EOF", f"each time it is asked: {hint}")
    answered(program, "c", "CLOSED", hint)
    client.expect_end(hint="c calls close()")


@pytest.mark.needs("test_the_end_of_the_stream_is_told")
@pytest.mark.points(0.5)
def test_a_client_that_has_closed_is_accepted(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """a client that closed before a is accepted, with what it sent, and so is the next one"""
    program = started(submission, backlog=5)
    size, next_size = rng.sample(range(1, 100), 2)
    leaving = lab["client1"].connect(SERVER)
    expect_waiting(lab, 1, "a accepts, nothing before")
    staying = lab["client2"].connect(SERVER_FROM_CLIENT2)
    staying.send(rng.randbytes(next_size))
    leaving.send(rng.randbytes(size))
    leaving.finish()
    expect_received(lab, leaving, "CLOSE-WAIT", size + 1, "a accepts, nothing before")

    hint = "the kernel keeps a connection and its bytes for accept(), even if the client has gone"
    accepted(program, leaving)
    answered(program, "r 100", f"RECEIVED {size}", hint)
    answered(program, "r 100", "EOF", hint)
    answered(program, "c", "CLOSED", hint)
    accepted(program, staying)
    hint = "r reads from the connection of the last a"
    answered(program, f"r {next_size}", f"RECEIVED {next_size}", hint)


@pytest.mark.needs("test_accept_puts_nothing_on_the_wire")
@pytest.mark.points(0.5)
def test_a_client_that_has_reset_is_accepted(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """a client that reset the connection before a is accepted; r tells ECONNRESET, and it goes on"""
    program = started(submission, backlog=5)
    client = lab["client1"].connect(SERVER)
    address, port = client.address
    size = rng.randrange(1, 100)
    client.send(rng.randbytes(size))
    expect_received(lab, client, "ESTAB", size, "a accepts, nothing before")
    client.reset()
    if not until(lambda: not lab["server"].sockets("tcp", port), WITHIN_S):
        raise machine_error("the RST of the client has not arrived", where="check")

    hint = "accept() works, and itself tells who the client was; getpeername() fails by now"
    answered(program, "a", f"ACCEPTED {address}:{port}", hint)
    answered(program, "r 100", f"RECEIVED {size}", "what came before the RST can still be read")
    hint = "recv() has failed: answer `ERROR recv ECONNRESET`, and read the next command"
    answered(program, "r 100", "ERROR recv ECONNRESET", hint)
    answered(program, "c", "CLOSED", hint)
    accepted(program, lab["client1"].connect(SERVER))
