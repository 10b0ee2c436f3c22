"""Checks of icmpd. The contract is in README.md."""

import array
import errno
import fcntl
import os
import random
import re
import select
import socket
import termios

import icmpd1
import pytest
from icmpd1 import NAME, Client, Report, Router, refused

from labctl.testing import (
    WITHIN_S,
    Lab,
    Submission,
    expect,
    expect_equal,
    machine_error,
    unmet,
    until,
)

SERVER = "10.0.1.1"
CLIENT2 = "10.0.2.2"
OWN = "10.0.1.2"
CLOSED, ALSO_CLOSED, OPEN = 9001, 9002, 9003

WHOSE = (
    "the error quotes the datagram: its source port, and its source address unless you are bound to "
    "0.0.0.0, say whose it was"
)
QUOTED = "errno, type, code; then port and address to which the quoted datagram was sent"


@pytest.mark.points(2)
def test_each_failed_datagram_is_reported(lab: Lab, submission: Submission) -> None:
    """a client learns which of its datagrams failed, though its socket is not connected"""
    submission.start("client1", "icmpd", NAME)
    client = Client(lab)
    client.register()
    listening = lab["server"].udp(bind=(SERVER, OPEN))
    for address, port in (
        (SERVER, CLOSED),
        (SERVER, OPEN),
        (CLIENT2, ALSO_CLOSED),
        (SERVER, ALSO_CLOSED),
    ):
        client.send(address, port)
    client.expect_reports(
        [
            refused(SERVER, CLOSED),
            refused(CLIENT2, ALSO_CLOSED),
            refused(SERVER, ALSO_CLOSED),
        ],
        QUOTED,
    )
    listening.receive()


@pytest.mark.needs("test_each_failed_datagram_is_reported")
@pytest.mark.points(1)
def test_a_report_goes_to_whom_it_concerns(lab: Lab, submission: Submission) -> None:
    """each client hears of its own datagrams only"""
    submission.start("client1", "icmpd", NAME)
    # Of two addresses each has all the ports: the kernel could choose the same one for both.
    clients = [
        Client(lab),
        Client(lab, bind=OWN, port=20001),
        Client(lab, bind="127.0.0.1", port=20002),
    ]
    for client in clients:
        client.register()
    # Somebody else's, which concerns nobody here; a report of it would come first.
    lab["client1"].udp().send(b"probe", to=(SERVER, CLOSED))
    for client, address in zip(clients, (SERVER, SERVER, "127.0.0.1"), strict=True):
        client.send(address, CLOSED)
    for client, address in zip(clients, (SERVER, SERVER, "127.0.0.1"), strict=True):
        client.send(address, ALSO_CLOSED)
    for client, address in zip(clients, (SERVER, SERVER, "127.0.0.1"), strict=True):
        client.expect_reports([refused(address, CLOSED), refused(address, ALSO_CLOSED)], WHOSE)


@pytest.mark.needs("test_each_failed_datagram_is_reported")
@pytest.mark.points(2)
def test_errors_are_told_apart(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """every kind of error gets its errno, and what quotes another packet gets no report"""
    submission.start("client1", "icmpd", NAME)
    client = Client(lab, bind=OWN)
    client.register()
    router = Router(lab)
    port = rng.randrange(1024, 32768)  # not the client's own, which the kernel has chosen
    quoted = icmpd1.quotation(OWN, client.port, CLIENT2, port)

    no_reports = (
        (3, 20, icmpd1.quotation(OWN, client.port, CLIENT2, port, protocol=6)),  # TCP
        (3, 21, icmpd1.quotation(CLIENT2, client.port, OWN, port)),  # another's address
        (3, 22, icmpd1.quotation(OWN, client.port ^ 1, CLIENT2, port)),
        (3, 23, icmpd1.quotation(OWN, port, CLIENT2, client.port)),  # ports in the other order
        (3, 24, quoted[:22]),
        (0, 25, quoted),  # an echo reply
        (5, 26, quoted),  # a redirect: the datagram has gone on
    )
    for kind, code, other in no_reports:
        router.send(kind, code, other)
    for kind, code, number in (
        (3, 3, errno.ECONNREFUSED),
        (3, 4, errno.EMSGSIZE),
        (3, 0, errno.EHOSTUNREACH),
        (3, 1, errno.EHOSTUNREACH),
        (3, 13, errno.EHOSTUNREACH),
        (11, 0, errno.EHOSTUNREACH),
        (12, 0, errno.EHOSTUNREACH),
    ):
        router.send(kind, code, quoted)
        client.expect_report(
            Report(number, kind, code, port, CLIENT2),
            "only type 3, 11 and 12; only a quotation with protocol UDP, your client's address and "
            "port, long enough to have ports: the table in README.md has the errno of each",
        )
    # Options make a header longer; it says so itself.
    with_options = icmpd1.quotation(OWN, client.port, CLIENT2, port, options=b"\x01\x01\x01\x00")
    router.send(3, 3, with_options)
    client.expect_report(
        refused(CLIENT2, port), "the quoted header has 4 * (first byte & 15) bytes, 24 here"
    )


@pytest.mark.needs("test_each_failed_datagram_is_reported")
@pytest.mark.points(1)
def test_the_copy_of_the_socket_is_closed(lab: Lab, submission: Submission) -> None:
    """the daemon keeps no copy of the socket: its port is free when the client closes it"""
    submission.start("client1", "icmpd", NAME)
    client = Client(lab)
    client.register()
    client.udp.close()
    left = [entry for entry in lab["client1"].sockets("udp", client.port) if entry.inode]
    expect(
        not left,
        expected=f"port {client.port} is free, since the client has closed its socket",
        actual="it is taken: somebody holds a copy of the socket",
        hint="getsockname() is all that is needed of it: close the copy before you answer",
    )
    # Another one gets the port, and it is this one that hears of its datagrams.
    other = Client(lab)
    other.register()
    other.send(SERVER, CLOSED)
    other.expect_report(refused(SERVER, CLOSED), WHOSE)


@pytest.mark.needs("test_each_failed_datagram_is_reported")
@pytest.mark.points(1)
def test_what_is_no_bound_udp_socket_is_refused(lab: Lab, submission: Submission) -> None:
    """what is no bound UDP socket is refused, closed, and does no harm"""
    submission.start("client1", "icmpd", NAME)
    good = Client(lab)
    good.register()
    node = lab["client1"]
    listener = node.listen(0)
    ipv6 = node.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    ipv6.bind(("::", 0))
    for what, fds in (
        (
            "a UDP socket that is not bound",
            [node.socket(socket.AF_INET, socket.SOCK_DGRAM).fileno()],
        ),
        ("an IPv6 UDP socket", [ipv6.fileno()]),
        ("a TCP socket", [listener.socket.fileno()]),
        ("two sockets", [good.udp.fileno(), good.udp.fileno()]),
        ("no socket", []),
    ):
        connection = icmpd1.connect(lab)
        expect_equal(
            icmpd1.give(connection, *fds),
            errno.EINVAL,
            f"verdict about {what}",
            "ask the socket itself: SO_DOMAIN, SO_TYPE and getsockname(); then send EINVAL and close",
        )
        expect_closed(connection, "EINVAL")

    # The end of a pipe: it is closed if the other end says so.
    reading, writing = os.pipe()
    try:
        connection = icmpd1.connect(lab)
        verdict = icmpd1.give(connection, writing)
        os.close(writing)
        writing = -1
        hint = "a descriptor that comes is yours: close it, whatever it is"
        expect_equal(verdict, errno.EINVAL, "verdict about a pipe", hint)
        expect(
            select.select([reading], [], [], WITHIN_S)[0],
            expected="the daemon closes the pipe that it was given",
            actual="it still has it",
            hint=hint,
        )
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)
    # Clients that leave, with and without a word.
    icmpd1.connect(lab).close()
    gone = Client(lab)
    gone.register()
    gone.connection.close()
    gone.send(SERVER, CLOSED)
    good.send(SERVER, CLOSED)
    good.expect_report(refused(SERVER, CLOSED), "the others are served on, whatever one does")


def expect_closed(connection: socket.socket, behind: str) -> None:
    connection.settimeout(WITHIN_S)
    try:
        rest = connection.recv(64)
    except TimeoutError:
        rest = b"nothing"
    except ConnectionResetError:
        rest = b""
    if rest:
        unmet(f"after {behind} the daemon closes the connection", "it stays", "close() ends it")


@pytest.mark.needs("test_each_failed_datagram_is_reported")
@pytest.mark.points(1)
def test_a_second_message_ends_the_client(lab: Lab, submission: Submission) -> None:
    """a second message ends the client that sent it, and no other"""
    submission.start("client1", "icmpd", NAME)
    client, other = Client(lab), Client(lab)
    client.register()
    other.register()
    client.connection.send(b"\0")
    expect_closed(client.connection, "a second message")
    other.send(SERVER, CLOSED)
    other.expect_report(refused(SERVER, CLOSED), "the others are served on, whatever one does")


@pytest.mark.needs("test_each_failed_datagram_is_reported")
@pytest.mark.points(1)
def test_one_who_does_not_read_holds_up_nobody(lab: Lab, submission: Submission) -> None:
    """a client that does not read loses reports, and holds up nobody else"""
    submission.start("client1", "icmpd", NAME)
    # Connected, and silent for ever.
    icmpd1.connect(lab)
    lazy, other = Client(lab), Client(lab)
    lazy.register()
    other.register()
    hint = "send with MSG_DONTWAIT: EAGAIN means that this client does not read, which is its loss"
    unread = -1
    while unread_bytes(lazy.connection) > unread:
        unread = unread_bytes(lazy.connection)
        if unread > 1 << 20:
            raise machine_error("the queue of a unix socket does not fill", where="check")
        for _ in range(20):
            # Errors to oneself are not limited in number, as all others are.
            lazy.send("127.0.0.1", CLOSED)
        # It comes behind them: with its report, the daemon has been through with all of them.
        other.send("127.0.0.1", ALSO_CLOSED)
        other.expect_report(refused("127.0.0.1", ALSO_CLOSED), hint)
    # It reads at last. What did not fit is lost, and nothing else.
    while unread_bytes(lazy.connection):
        lazy.connection.recv(65536)
    lazy.send("127.0.0.1", ALSO_CLOSED)
    hint = "EAGAIN is no reason to close: the client has lost this report, and gets the next"
    lazy.expect_report(refused("127.0.0.1", ALSO_CLOSED), hint)


def unread_bytes(connection: socket.socket) -> int:
    value = array.array("i", [0])
    fcntl.ioctl(connection, termios.FIONREAD, value)
    return value[0]


@pytest.mark.points(1)
def test_the_client_prints_what_it_is_told(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """udp_probe gives a bound socket, sends where it is told, and prints reports and datagrams"""
    daemon = icmpd1.Daemon(lab)
    program = submission.start("client1", "udp_probe", NAME, ready=False)
    connection, theirs = daemon.accept()
    with connection, theirs:
        expect_equal(
            (theirs.family, theirs.type),
            (socket.AF_INET, socket.SOCK_DGRAM),
            "family and type of the socket that is given",
            "the UDP socket from which you send",
        )
        port = theirs.getsockname()[1]
        expect(
            port,
            expected="the socket that is given is bound",
            actual="it has no port yet",
            hint="bind() to port 0 before you give it; otherwise the first sendto() would do it",
        )
        connection.send(icmpd1.VERDICT.pack(0))
        program.ready()

        peer = lab["server"].udp(bind=(SERVER, OPEN))
        other = lab["client2"].udp(bind=(CLIENT2, OPEN))
        program.write(f"{SERVER} {OPEN}\n{CLIENT2} {OPEN}\n".encode())
        hint = "one datagram for each line of the input, all from the socket that you have given"
        for socket_there in (peer, other):
            _, sender = socket_there.receive_from(expected="a datagram", hint=hint)
            expect_equal(sender, (OWN, port), "sender of the datagram", hint)

        size = rng.randrange(1, 1000)
        peer.send(bytes(size), to=(OWN, port))
        hint = "wait for the daemon, the UDP socket and the input at once (select, poll)"
        program.expect_line(f"datagram from={SERVER}:{OPEN} bytes={size}", hint=hint)
        for number, name in ((errno.ECONNREFUSED, "ECONNREFUSED"), (errno.EMSGSIZE, "EMSGSIZE")):
            kind, code = rng.sample(range(256), 2)  # two that differ: they have a place each
            report = Report(number, kind, code, OPEN, CLIENT2)
            connection.send(report.packed())
            wanted = f"error dest={CLIENT2}:{OPEN} errno={name} type={kind} code={code}"
            program.expect_line(wanted, hint=hint)
    ended = program.expect_exit(1, hint="recv() of 0 bytes: the daemon has gone; that is an error")
    expect(
        re.match(rb"error: \w+: ", ended.stderr),
        expected="on stderr: error: recv: …",
        actual=f"on stderr: {ended.stderr.decode(errors='backslashreplace') or 'nothing'}",
        hint="one line that says what failed",
    )


@pytest.mark.needs("test_the_client_prints_what_it_is_told")
@pytest.mark.points(1)
def test_the_client_takes_no_for_an_answer(lab: Lab, submission: Submission) -> None:
    """udp_probe is not ready before its socket is taken, and a refusal is an error"""
    daemon = icmpd1.Daemon(lab)
    program = submission.start("client1", "udp_probe", NAME, ready=False)
    connection, theirs = daemon.accept()
    hint = "receive the verdict, and look at it, before you print READY"
    with connection, theirs:
        connection.send(icmpd1.VERDICT.pack(errno.EINVAL))
        # The connection stays open: the verdict alone has to end it.
        until(lambda: program.stdout or not program.is_running(), WITHIN_S)
        expect_equal(program.stdout, b"", "stdout, after the daemon has answered EINVAL", hint)
        ended = program.expect_exit(1, hint=hint)
    # What it wrote before its end may come to the check behind it.
    expect_equal(ended.stdout, b"", "stdout, after the daemon has answered EINVAL", hint)
    expect(
        ended.stderr.startswith(b"error: "),
        expected="on stderr: error: …",
        actual=f"on stderr: {ended.stderr.decode(errors='backslashreplace') or 'nothing'}",
        hint="one line that says what failed",
    )


@pytest.mark.needs(
    "test_each_failed_datagram_is_reported", "test_the_client_prints_what_it_is_told"
)
@pytest.mark.points(1)
def test_both_work_together(lab: Lab, submission: Submission) -> None:
    """the two programs work together"""
    submission.start("client1", "icmpd", NAME)
    program = submission.start("client1", "udp_probe", NAME)
    for address, port in ((SERVER, CLOSED), (CLIENT2, ALSO_CLOSED)):
        program.write(f"{address} {port}\n".encode())
        program.expect_line(
            f"error dest={address}:{port} errno=ECONNREFUSED type=3 code=3",
            hint="each of the two keeps its contract; do they agree about the name and the layout?",
        )
    program.end_input()
    program.expect_exit(0, hint="the end of the input is the end")
