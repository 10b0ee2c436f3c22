"""Checks of broken-epoll. The contract is in README.md."""

import random

import pytest

from labctl.testing import WITHIN_S, Lab, Program, Submission, Tcp, unmet, until

PORT = 7007
SERVER = ("10.0.0.2", PORT)


def serve(submission: Submission, *options: str) -> Program:
    return submission.start("server", "epoll_server", "0.0.0.0", str(PORT), *options)


def expect_echo(client: Tcp, data: bytes, hint: str) -> None:
    client.send(data)
    expect_back(client, data, hint)


def expect_back(client: Tcp, data: bytes, hint: str) -> None:
    got = client.receive_exactly(len(data), expected=f"{len(data)} bytes back", hint=hint)
    if got == data:
        return
    at = next(at for at, (a, b) in enumerate(zip(got, data, strict=True)) if a != b)
    unmet(
        f"the bytes that were sent, {len(data)} of them",
        f"after {at} bytes others than were sent: some are missing",
        hint,
    )


@pytest.mark.points(1)
def test_it_echoes(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """what a client sends comes back, and FIN comes back as FIN"""
    serve(submission)
    clients = []
    for _ in range(3):
        clients.append(lab["client"].connect(SERVER))
        for client in clients:
            expect_echo(client, rng.randbytes(rng.randrange(1, 1000)), "send back what came")
    for client in clients:
        client.finish()
        client.expect_end(hint="recv() has returned 0 and all is sent: close")


@pytest.mark.needs("test_it_echoes")
@pytest.mark.points(2)
def test_who_came_meanwhile_is_served(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """whoever comes while the server is stopped is served when it goes on"""
    # Room for all of it: whoever does not read at once is for another check.
    lab["server"].set("net.ipv4.tcp_wmem", "4096 262144 4194304")
    program = serve(submission)
    old = lab["client"].connect(SERVER)
    expect_echo(old, b"before", "send back what came")
    # Stopped anywhere but in epoll_wait() it would not be interrupted.
    expect_asleep(program, "when it has nothing to do", "epoll_wait() without a time is -1")
    program.freeze()
    clients = [old, *(lab["client"].connect(SERVER) for _ in range(4))]
    wanted = [rng.randbytes(20_000) for _ in clients]
    for client, data in zip(clients, wanted, strict=True):
        client.send(data)
    for client in clients:
        wait_until_there(client)
    program.thaw()
    hint = (
        "SIGSTOP and SIGCONT let epoll_wait() fail with EINTR (signal(7)), which is no reason to "
        "end; and an edge comes once, for five clients or 20000 bytes as for one: go on until EAGAIN"
    )
    for client, data in zip(clients, wanted, strict=True):
        expect_back(client, data, hint)


def wait_until_there(client: Tcp) -> None:
    """Wait until all that a client has sent is in the server's socket."""
    until(lambda: client.unacknowledged == 0, WITHIN_S)


MUCH = 60_000
"""Bytes that a client sends at once: more than there is room for on their way back."""


def small_buffers(lab: Lab) -> None:
    """Let the server's sockets take MUCH, but send little, whatever the machine prefers.

    All of it is there then, and nothing that comes later is an edge.
    """
    lab["server"].set("net.ipv4.tcp_rmem", "4096 131072 6291456")
    lab["server"].set("net.ipv4.tcp_wmem", "4096 8192 16384")


def sent_now(client: Tcp, data: memoryview) -> int:
    """Send what the kernel takes at once; return how much that was."""
    client.socket.setblocking(False)
    try:
        return client.socket.send(data)
    except BlockingIOError:
        return 0
    except OSError as error:
        unmet("the connection stays", f"it was cut: {error.strerror}", "EAGAIN is no error")


@pytest.mark.needs("test_who_came_meanwhile_is_served")
@pytest.mark.points(2)
def test_who_does_not_read_holds_up_nobody(lab: Lab, submission: Submission) -> None:
    """a client that does not read holds up nobody, and costs no time"""
    small_buffers(lab)
    program = serve(submission)
    other = lab["client"].connect(SERVER)
    deaf = lab["client"].connect(SERVER, receive_buffer=4096)
    hint = (
        "send() that fails with EAGAIN fails again until the client reads: go back to epoll_wait()"
    )
    program.freeze()
    deaf.send(bytes(MUCH))
    wait_until_there(deaf)
    program.thaw()
    unsent = memoryview(bytes(300_000))
    for _ in range(60):
        unsent = unsent[sent_now(deaf, unsent) :]
        expect_echo(other, b"served", hint)
    expect_asleep(program, "while a client does not read", hint)


def expect_asleep(program: Program, while_: str, hint: str) -> None:
    if not until(program.is_asleep, WITHIN_S):
        unmet(f"the server sleeps {while_}", "it runs all the time", hint)


@pytest.mark.needs("test_who_does_not_read_holds_up_nobody")
@pytest.mark.points(3)
@pytest.mark.parametrize("has_finished", [False, True], ids=["it stays", "it has sent FIN"])
def test_nothing_is_lost_behind_a_full_buffer(
    lab: Lab, submission: Submission, rng: random.Random, has_finished: bool
) -> None:
    """nothing is lost for a client that sends much and reads late"""
    small_buffers(lab)
    serve(submission)
    other = lab["client"].connect(SERVER)
    late = lab["client"].connect(SERVER, receive_buffer=4096)
    data = rng.randbytes(MUCH)
    late.send(data)
    if has_finished:
        late.finish()
        until_closed(lab, late.address[1])
    wait_until_there(late)
    for _ in range(10):
        expect_echo(other, b"served", "send back what came")
    hint = (
        "send() took less than all, or EAGAIN: keep the rest, receive nothing more from this client, "
        "and go on with both when EPOLLOUT says that there is room"
    )
    expect_back(late, data, hint)
    if not has_finished:
        late.finish()
    late.expect_end(hint="FIN has come and all is sent: close")


def until_closed(lab: Lab, port: int) -> None:
    """Wait until FIN or RST from that port is in the server's kernel."""
    until(
        lambda: (
            not any(
                s.peer_port == port and s.state == "ESTAB"
                for s in lab["server"].sockets("tcp", PORT)
            )
        ),
        WITHIN_S,
    )


@pytest.mark.needs("test_who_came_meanwhile_is_served")
@pytest.mark.points(2)
@pytest.mark.parametrize("leaves", ["RST", "RST behind bytes", "FIN"])
def test_nobody_is_closed_for_another(lab: Lab, submission: Submission, leaves: str) -> None:
    """a client that leaves makes room for one that waits, and takes nobody along"""
    program = serve(submission, "-n", "2")
    stays = lab["client"].connect(SERVER)
    client = lab["client"].connect(SERVER)
    for each in (stays, client):
        expect_echo(each, b"hello", "send back what came")
    hint = (
        "when a descriptor is closed, accept() may return the same number at once: a second close() "
        "of it, for EPOLLHUP or EPOLLERR of the same event, is for somebody else"
    )
    for number in range(3):
        waiting = lab["client"].connect(SERVER)
        waiting.send(b"is anybody there?")
        wait_until_there(waiting)
        port = client.address[1]
        program.freeze()
        if leaves != "RST":
            client.send(b"and goodbye")
        if leaves == "FIN":
            client.close()
        else:
            client.reset()
        # It is in the server's socket before the program can look.
        until_closed(lab, port)
        program.thaw()
        expect_back(waiting, b"is anybody there?", hint)
        expect_echo(waiting, b"number %d" % number, hint)
        expect_echo(stays, b"still here", hint)
        client = waiting
