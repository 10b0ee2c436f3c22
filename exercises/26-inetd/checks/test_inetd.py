"""Checks of inetd. The contract is in README.md."""

import re
import signal
import struct
import time
from functools import partial

import pytest
import superserver
from superserver import (
    ACCEPTS,
    CAT,
    CONFIGURE,
    DATAGRAMS,
    SERVER,
    connect,
    echoes,
    expect_alone,
    start,
)

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Submission,
    Tcp,
    Udp,
    expect,
    expect_equal,
    until,
)

NOWAIT = (
    "nowait: accept(), fork(); the child has the connection as 0, 1 and 2, without O_NONBLOCK, and "
    "becomes SERVER; the parent closes its copy and goes on"
)
CHARGEN_RING = bytes(range(0x20, 0x7F)) * 2


@pytest.mark.points(1.5)
def test_each_client_gets_a_server_of_its_own(lab: Lab, submission: Submission) -> None:
    """each client of a TCP service gets a server of its own, at the same time as others"""
    program = start(
        submission,
        "# PORT\ttype",
        "",
        f"8001\tstream  tcp nowait\t- {CAT} cat",
        f"8002 stream tcp nowait - {CAT} another-name /proc/self/cmdline",
    )
    clients = [connect(lab, 8001, NOWAIT), connect(lab, 8001, NOWAIT)]
    for word in (b"one", b"two"):
        for client in reversed(clients):
            echoes(client, word, NOWAIT)
        superserver.let_settle(program, "cat")  # each has called read() once more
    expect_equal(len(superserver.servers(program, "cat")), 2, "servers for two clients", NOWAIT)
    for client in clients:
        client.finish()
        client.expect_end(hint="when the server ends nobody else may have the connection open")
    said = connect(lab, 8002, NOWAIT).everything(hint=NOWAIT)
    expect_equal(
        said,
        b"another-name\0/proc/self/cmdline\0",
        "the server's arguments",
        "after SERVER the line has all of them, and the first one is its name: execv(SERVER, …)",
    )


@pytest.mark.needs("test_each_client_gets_a_server_of_its_own")
@pytest.mark.points(1)
def test_a_server_has_the_connection_and_nothing_else(lab: Lab, submission: Submission) -> None:
    """a server has the connection as 0, 1 and 2, no other file, and no signal is ignored"""
    program = start(
        submission,
        f"8001 stream tcp nowait - {CAT} cat",
        "8002 stream tcp nowait - internal echo",
        "8003 dgram udp wait - internal echo",
    )
    client = connect(lab, 8001, NOWAIT)
    echoes(client, b"hi", NOWAIT)
    [server] = superserver.servers(program, "cat")
    found = superserver.files(server)
    expect_equal(
        sorted(found),
        [0, 1, 2],
        "open descriptors",
        "the sockets of other services are nothing for it: close-on-exec",
    )
    expect_equal(len(set(found.values())), 1, "files behind 0, 1 and 2", "dup2() onto all three")
    expect_equal(
        superserver.ignored(server),
        0,
        "SigIgn in /proc/PID/status",
        "exec() keeps what is ignored; Python itself ignores SIGPIPE and SIGXFSZ",
    )


@pytest.mark.needs("test_each_client_gets_a_server_of_its_own")
@pytest.mark.points(1)
def test_the_internal_services(lab: Lab, submission: Submission) -> None:
    """echo and discard are inside, for TCP and for UDP"""
    program = start(
        submission,
        "8001 stream tcp nowait - internal echo",
        "8002 dgram udp wait - internal echo",
        "8003 stream tcp nowait - internal discard",
        "8003 dgram udp wait - internal discard",
    )
    hint = "echo sends back all bytes until the client has closed"
    client = connect(lab, 8001, hint)
    for word in (b"one", b"two", bytes(range(256)) * 100):
        echoes(client, word, hint)
    client.finish()
    client.expect_end(hint=hint)
    # Now, so that no two children end at once: that is judged in a check of its own.
    expect_alone(program, GONE)
    asker = lab["client1"].udp(to=(SERVER, 8002))
    asker.send(b"hello")
    expect_equal(asker.receive(hint=hint), b"hello", "the echo of a datagram", hint)
    hint = "discard receives until the client has closed, and sends nothing"
    client = connect(lab, 8003, hint)
    client.send(b"x" * 100_000, hint=hint)
    client.finish()
    expect_equal(client.everything(hint=hint), b"", "what discard sends", hint)
    asker = lab["client1"].udp(to=(SERVER, 8003))
    asker.send(b"hello")
    # That is taken before what comes later.
    lab["client1"].udp(to=(SERVER, 8002)).send(b"x")
    ask_echo(lab, hint)
    expect_equal(asker.waiting(), [], "what discard sends", hint)
    expect_alone(program, GONE)


GONE = "when the client has gone nobody serves him any more"


@pytest.mark.needs("test_the_internal_services")
@pytest.mark.points(0.5)
@pytest.mark.parametrize("name", ["daytime", "time"])
def test_daytime_and_time(lab: Lab, submission: Submission, name: str) -> None:
    """daytime and time are inside, for TCP and for UDP"""
    program, client, asker = ask_internal(lab, submission, name)
    expect_told = {"daytime": expect_daytime, "time": expect_time}[name]
    hint = f"the table in README.md has what {name} does"
    expect_told(client.everything(hint=hint))
    expect_told(asker.receive(hint=hint))
    expect_alone(program, GONE)


@pytest.mark.needs("test_the_internal_services")
@pytest.mark.points(0.5)
def test_chargen(lab: Lab, submission: Submission) -> None:
    """chargen is inside, for TCP and for UDP"""
    program, client, asker = ask_internal(lab, submission, "chargen")
    hint = "72 characters and CR LF; each line begins one character further in the ring of 95"
    wanted = b"".join(CHARGEN_RING[n % 95 : n % 95 + 72] + b"\r\n" for n in range(200))
    got = client.receive_exactly(len(wanted), hint=hint)
    differs = next((n for n in range(200) if got[74 * n :][:74] != wanted[74 * n :][:74]), -1)
    expect(
        differs < 0,
        expected=f"line {differs + 1}: {wanted[74 * differs :][:74]!r}",
        actual=f"line {differs + 1}: {got[74 * differs :][:74]!r}",
        hint=hint,
    )
    client.reset()
    expect_equal(asker.receive(hint=hint), wanted[:74], "one line in a datagram", hint)
    expect_alone(program, GONE)


def ask_internal(lab: Lab, submission: Submission, name: str) -> tuple[Program, Tcp, Udp]:
    """Ask an internal service both ways; return who listens to its answers."""
    program = start(
        submission,
        f"8001 stream tcp nowait - internal {name}",
        f"8001 dgram udp wait - internal {name}",
    )
    client = connect(lab, 8001, f"the table in README.md has what {name} does")
    asker = lab["client1"].udp(to=(SERVER, 8001))
    asker.send(b"hello")
    return program, client, asker


def ask_echo(lab: Lab, hint: str) -> None:
    """Have something answered by the echo of datagrams, on port 8002."""
    echo = lab["client1"].udp(to=(SERVER, 8002))
    echo.send(b"are you there?")
    echo.receive(expected="an echo of a datagram", hint=hint)


def expect_daytime(said: bytes) -> None:
    hint = "24 characters, as ctime() has them, and CR LF"
    text = said.decode(errors="replace")
    expect(
        re.fullmatch(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-3]\d \d\d:\d\d:\d\d \d{4}\r\n", text),
        expected="a line such as Thu Jan  1 00:00:00 1970, CR LF",
        actual=repr(text),
        hint=hint,
    )
    told = time.mktime(time.strptime(text.strip()))
    # The sandbox may be in another time zone: these differ by quarters of an hour.
    off = (told - time.time() + 450) % 900 - 450
    expect(
        abs(off) < 60,
        expected=f"the time, about {time.ctime()}",
        actual=text.strip(),
        hint=hint,
    )


def expect_time(said: bytes) -> None:
    hint = "seconds since 1900, in 32 bits, the most significant byte first: 2208988800 in 1970"
    expect_equal(len(said), 4, "bytes", hint)
    [told] = struct.unpack("!I", said)
    off = (told - int(time.time()) - 2208988800 + 2**31) % 2**32 - 2**31
    expect(abs(off) < 60, expected="the time", actual=f"{off} s from it", hint=hint)


@pytest.mark.needs("test_the_internal_services")
@pytest.mark.points(0.5)
def test_a_slow_client_holds_up_nobody(lab: Lab, submission: Submission) -> None:
    """a client that does not read, or says nothing, holds up nobody"""
    start(
        submission,
        "8001 stream tcp nowait - internal chargen",
        "8002 dgram udp wait - internal echo",
        "8003 stream tcp nowait - internal echo",
        "8004 stream tcp nowait - internal discard",
    )
    hint = "what can take long is served by another process, or by a loop in which nothing blocks"
    slow = lab["client1"].connect((SERVER, 8001), receive_buffer=4096, hint=hint)
    for port in (8003, 8004):
        connect(lab, port, hint)
    # Its buffer is full, and so is the server's.
    expect(
        until(lambda: slow.unread > 0, WITHIN_S),
        expected="chargen sends without being asked",
        actual="nothing came",
        hint=hint,
    )
    for _ in range(3):
        ask_echo(lab, hint)
        echoes(connect(lab, 8003, hint), b"hi", hint)


@pytest.mark.needs("test_the_internal_services")
@pytest.mark.points(0.5)
def test_a_low_port_is_not_answered(lab: Lab, submission: Submission) -> None:
    """a datagram from a port below 1024 is not answered"""
    program = start(submission, "8002 dgram udp wait - internal echo")
    hint = "it may be an echo as well, in whose name somebody wrote: the two would never end"
    low = lab["client1"].udp(bind=("0.0.0.0", 7))
    program.freeze()
    send_and_wait(lab, low, 8002)
    program.thaw()
    # In order: an answer to the first would be sent before this one.
    ask_echo(lab, hint)
    answers = lab.packets("udp dst port 7", sent_by="server")
    expect_equal(len(answers), 0, "datagrams to port 7", hint)


def send_and_wait(lab: Lab, sender: Udp, port: int) -> None:
    """Send a datagram, and wait until it is in the socket of the program, which is frozen."""
    sender.send(b"hello", to=(SERVER, port))
    until(lambda: queued(lab, port) > 0, WITHIN_S)


@pytest.mark.needs("test_each_client_gets_a_server_of_its_own")
@pytest.mark.points(1)
def test_wait_leaves_the_socket_to_the_server(lab: Lab, submission: Submission) -> None:
    """wait: the socket is the server's until that ends, and others are served meanwhile"""
    program = start(
        submission,
        f"8001 stream tcp nowait - {CAT} cat",
        f"8002 dgram udp wait - {DATAGRAMS}",
        "8003 dgram udp wait - /bin/sleep sleep 1000",
    )
    hint = (
        "wait: the child gets the socket itself, with the datagram in it, and it is not polled "
        "until that child has ended (SIGCHLD)"
    )
    # One that takes its time to receive; who is served meanwhile shows that inetd has polled again,
    # and a second one that it is done with all that it found then.
    lab["client1"].udp(to=(SERVER, 8003)).send(b"hello")
    expect(
        until(lambda: superserver.servers(program, "1000"), WITHIN_S),
        expected="a server is started for a datagram",
        actual="there is none",
        hint=hint,
    )
    for _ in range(2):
        echoes(connect(lab, 8001, hint), b"hi", f"{hint}; others are served meanwhile")
    expect_equal(len(program.pids()), 4, "inetd, one server for the datagram, two for TCP", hint)

    client = lab["client1"].udp(to=(SERVER, 8002))
    first = ask_pid(client, b"one", hint)
    superserver.let_settle(program, "datagrams.py")  # it calls recvfrom() once more
    expect_equal(len(superserver.servers(program, "datagrams.py")), 1, "servers", hint)
    expect_equal(ask_pid(client, b"two", hint), first, "pid of who answers the second", hint)
    expect_equal(len(superserver.servers(program, "datagrams.py")), 1, "servers", hint)

    ask_pid(client, b"end", hint)
    until(lambda: not superserver.servers(program, "datagrams.py"), WITHIN_S)
    again = "when the child has ended poll the socket again: the next datagram starts the next one"
    second = ask_pid(client, b"three", again)
    expect(second != first, expected="another server", actual="the same one", hint=again)


def ask_pid(client: Udp, word: bytes, hint: str) -> int:
    """Send a datagram to the server of datagrams; return the pid with which it answers."""
    client.send(word)
    said = client.receive(expected=f'an answer of the server to "{word.decode()}"', hint=hint)
    return int(said.split()[0])


@pytest.mark.needs("test_wait_leaves_the_socket_to_the_server")
@pytest.mark.points(0.5)
def test_wait_with_a_stream(lab: Lab, submission: Submission) -> None:
    """stream and wait: the server gets the listening socket, and accepts itself, until it ends"""
    program = start(submission, f"8001 stream tcp wait - {ACCEPTS}")
    hint = (
        "with wait inetd does not accept(): the child has the listening socket as 0, without "
        "O_NONBLOCK, and the connection in it; inetd does not poll it until that child has ended"
    )
    first = ask_accepting(lab, b"one", hint)
    superserver.let_settle(program, "accepts.py")  # it calls accept() once more
    expect_equal(len(superserver.servers(program, "accepts.py")), 1, "servers", hint)
    expect_equal(ask_accepting(lab, b"two", hint), first, "pid of who answers the second", hint)
    expect_equal(len(superserver.servers(program, "accepts.py")), 1, "servers", hint)
    ask_accepting(lab, b"end", hint)
    until(lambda: not superserver.servers(program, "accepts.py"), WITHIN_S)
    again = "when the child has ended poll the socket again: the next client starts the next one"
    second = ask_accepting(lab, b"three", again)
    expect(second != first, expected="another server", actual="the same one", hint=again)


def ask_accepting(lab: Lab, word: bytes, hint: str) -> int:
    """Connect to the server that accepts, and send a word; return the pid with which it answers."""
    client = connect(lab, 8001, hint)
    client.send(word, hint=hint)
    what = f'an answer of the server to "{word.decode()}"'
    said = client.everything(expected=what, hint=hint)
    pid, _, heard = said.partition(b" ")
    # A server that cannot accept says so there: its stderr is the socket.
    expect(
        pid.isdigit() and heard == word,
        expected=f"PID {word.decode()}",
        actual=repr(said[-300:])[1:],
        hint=hint,
    )
    return int(pid)


@pytest.mark.needs("test_each_client_gets_a_server_of_its_own")
@pytest.mark.points(0.5)
def test_nobody_stays_a_zombie(lab: Lab, submission: Submission) -> None:
    """servers that have ended do not stay as zombies, also when several end at once"""
    program = start(submission, f"8001 stream tcp nowait - {CAT} cat")
    clients = [connect(lab, 8001, NOWAIT) for _ in range(5)]
    for client in clients:
        echoes(client, b"hi", NOWAIT)
    program.signal(signal.SIGSTOP)  # inetd alone: its children end while it cannot look
    until(lambda: superserver.is_stopped(program), WITHIN_S)
    for client in clients:
        client.finish()
    until(lambda: superserver.zombies(program) == 5, WITHIN_S)
    program.signal(signal.SIGCONT)
    expect_alone(
        program,
        "SIGCHLD does not count: several children that end are one signal; call "
        "waitpid(-1, …, WNOHANG) until it has no more",
    )


@pytest.mark.needs("test_each_client_gets_a_server_of_its_own")
@pytest.mark.points(1)
def test_what_cannot_be_served_harms_nobody(lab: Lab, submission: Submission) -> None:
    """a bad line, a port in use or a server that is not there is told, and harms nobody else"""
    taken = lab["server"].listen(8004)
    program = start(
        submission,
        "8001 stream tcp",
        "8002 stream tcp nowait - internal teapot",
        "8003 stream udp nowait - internal echo",
        f"8004 stream tcp nowait - {CAT} cat",
        "99999 stream tcp nowait - internal echo",
        "8006 stream tcp nowait - /no/such/server server",
        "8007 dgram udp wait - /no/such/server server",
        f"8008 stream tcp nowait - {CAT} cat",
        "8009 dgram udp wait - internal echo",
    )
    hint = "complain of that line on stderr, as inetd.conf:LINE: REASON, and go on with the next"
    for number in range(1, 6):
        complaint = f"inetd.conf:{number}:"
        expect(
            until(partial(is_said, program, complaint), WITHIN_S),
            expected=f"a line on stderr that begins {complaint}",
            actual=f"stderr: {program.stderr.decode(errors='replace') or 'nothing'}",
            hint=hint,
        )
    taken.close()

    gone = "where exec() fails the child has to end, and nothing else: _exit()"
    for _ in range(2):
        said = connect(lab, 8006, gone).everything(hint=gone)
        expect_equal(said, b"", "what a client of a missing server reads", gone)
        # One after the other: whether many that end at once are buried has a check of its own.
        expect_alone(program, gone)
    program.freeze()
    send_and_wait(lab, lab["client1"].udp(), 8007)
    program.thaw()
    expect(
        until(lambda: queued(lab, 8007) == 0, WITHIN_S),
        expected="a datagram for a missing server is thrown away",
        actual="it stays in the socket",
        hint="where exec() fails the child receives it: or it would start the next child at once",
    )
    expect_alone(program, gone)
    good = connect(lab, 8008, hint)
    echoes(good, b"hi", hint)
    good.finish()
    echo = lab["client1"].udp(to=(SERVER, 8009))
    echo.send(b"hi")
    echo.receive(expected="an echo of the last service", hint=hint)
    expect_alone(program, gone)


def is_said(program: Program, complaint: str) -> bool:
    return complaint.encode() in program.stderr


def queued(lab: Lab, port: int) -> int:
    """Return how many bytes wait in a UDP socket."""
    return sum(s.recv_q for s in lab["server"].sockets("udp", port))


@pytest.mark.needs("test_each_client_gets_a_server_of_its_own")
@pytest.mark.points(0.5)
def test_the_user_is_obeyed(lab: Lab, submission: Submission) -> None:
    """a server for another user is not run as somebody else"""
    start(
        submission,
        "8001 stream tcp nowait nobody /usr/bin/id id -un",
        "8002 stream tcp nowait no-such-user /usr/bin/id id -un",
        "8003 stream tcp nowait - /usr/bin/id id -un",
    )
    hint = (
        "change to USER in the child, before exec(); where that fails, as here without privileges, "
        "do not start the server"
    )
    # Without a sandbox, and as root, it can be done.
    said = connect(lab, 8001, hint).everything(hint=hint).decode(errors="replace").strip()
    expect(said in ("", "nobody"), expected="no server, or nobody's", actual=said, hint=hint)
    said = connect(lab, 8002, hint).everything(hint=hint).decode(errors="replace").strip()
    expect_equal(said, "", "what a server for a user who is not there says", hint)
    said = connect(lab, 8003, hint).everything(hint=hint).decode(errors="replace").strip()
    expect(said, expected="- is your own user", actual="the server was not started", hint=hint)


@pytest.mark.needs("test_each_client_gets_a_server_of_its_own")
@pytest.mark.points(0.5)
def test_sighup_reads_the_file_again(lab: Lab, submission: Submission) -> None:
    """at SIGHUP new services open, those that are gone close, and who is being served goes on"""
    program = start(
        submission,
        CONFIGURE,
        f"8001 stream tcp nowait - {CAT} cat",
        "8002 stream tcp nowait - internal echo",
        "8003 dgram udp wait - internal echo",
    )
    hint = "SIGHUP: compare the old services with the new ones, by port and type"
    served = connect(lab, 8001, hint)
    echoes(served, b"before", hint)

    superserver.configure(
        lab,
        program,
        CONFIGURE,
        f"8001 stream tcp nowait - {CAT} changed /proc/self/cmdline",
        "8003 dgram udp wait - internal echo",
        "8004 stream tcp nowait - internal daytime",
    )
    echoes(served, b"after", "who has a server keeps it")
    said = connect(lab, 8004, hint).everything(hint=hint)
    expect(said, expected="the new service answers", actual="FIN, and not a byte", hint=hint)
    error = lab["client1"].connect_error((SERVER, 8002))
    expect_equal(error, "ECONNREFUSED", "connecting to a service that is gone", hint)
    said = connect(lab, 8001, hint).everything(hint=hint)
    expect_equal(said, b"changed\0/proc/self/cmdline\0", "the server of a line that changed", hint)

    # And a second time, with a file that is worse than none.
    superserver.configure(lab, program, CONFIGURE, "8001", f"8002 stream tcp nowait - {CAT} cat")
    echoes(connect(lab, 8002, hint), b"hi", hint)


@pytest.mark.needs("test_sighup_reads_the_file_again", "test_wait_leaves_the_socket_to_the_server")
@pytest.mark.points(0.5)
def test_sighup_leaves_a_socket_to_its_server(lab: Lab, submission: Submission) -> None:
    """at SIGHUP a socket that a server has stays open, and is the server's until that ends"""
    services = (
        CONFIGURE,
        f"8001 stream tcp nowait - {CAT} cat",
        f"8002 dgram udp wait - {DATAGRAMS}",
        "8003 dgram udp wait - /bin/sleep sleep 1000",
    )
    program = start(submission, *services)
    hint = (
        "SIGHUP: a service with the same PORT and TYPE keeps its socket, and with wait it stays with "
        "the server that runs; a port that is closed cannot be opened again while that has it"
    )
    client = lab["client1"].udp(to=(SERVER, 8002))
    first = ask_pid(client, b"one", hint)
    lab["client1"].udp(to=(SERVER, 8003)).send(b"hello")
    expect(
        until(lambda: superserver.servers(program, "1000"), WITHIN_S),
        expected="a server is started for a datagram",
        actual="there is none",
        hint=hint,
    )

    superserver.configure(lab, program, *services, "8004 dgram udp wait - internal echo")
    # The datagram for `sleep` is still in its socket: with the second of these inetd is done with
    # all that it found when it polled after SIGHUP.
    for _ in range(2):
        echoes(connect(lab, 8001, hint), b"hi", hint)
    until(lambda: len(program.pids()) <= 5, WITHIN_S)  # the one that has written FILE may be there
    what = "inetd, one server for each of two datagrams, two for TCP"
    expect_equal(len(program.pids()), 5, what, hint)
    expect_equal(ask_pid(client, b"two", hint), first, "pid of who answers after SIGHUP", hint)
    ask_pid(client, b"end", hint)
    until(lambda: not superserver.servers(program, "datagrams.py"), WITHIN_S)
    second = ask_pid(client, b"three", hint)
    expect(second != first, expected="another server", actual="the same one", hint=hint)
