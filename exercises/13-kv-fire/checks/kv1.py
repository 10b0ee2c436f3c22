"""KV/1 as the checks speak it, and a client that leaves too early."""

from labctl.testing import WITHIN_S, Lab, Program, Tcp, Unmet, expect_equal, unmet, until

PORT = 8085
SERVER = ("10.0.1.1", PORT)
SERVER_FROM_CLIENT2 = ("10.0.2.1", PORT)
BIG = b"v" * 4096
"""A thousand of these fit into no socket's buffer: they cannot be sent by one send()."""


def put(key: bytes, value: bytes) -> bytes:
    return b"PUT %b %d\n%b\n" % (key, len(value), value)


def value(content: bytes) -> bytes:
    return b"VALUE %d\n%b\n" % (len(content), content)


def ask(client: Tcp, request: bytes, wanted: bytes, hint: str = "") -> None:
    """Send a request and compare its answer with the right one."""
    client.send(request, hint=hint)
    expect_answer(client, request, wanted, hint)


def expect_answer(client: Tcp, request: bytes, wanted: bytes, hint: str = "") -> None:
    what = f'the answer to "{request.partition(bytes([10]))[0].decode()}"'
    line = client.line(expected=what, hint=hint) + b"\n"
    if line == wanted[: len(line)]:
        line += client.receive_exactly(len(wanted) - len(line), expected=what, hint=hint)
    expect_equal(line, wanted, what, hint)


def let_it_arrive(client: Tcp) -> None:
    """Wait until the server's kernel has acknowledged all that was sent."""
    if not until(lambda: client.unacknowledged == 0, WITHIN_S):
        unmet(
            "the connection takes what the client sends",
            "it is not acknowledged",
            "serve a client until it closes: a connection that is closed before takes nothing more",
        )


def leave(lab: Lab, client: Tcp) -> None:
    """Close the client, and wait until its FIN has come to the server's kernel."""
    port = client.address[1]
    client.close()
    if not until(
        lambda: any(s.state == "CLOSE-WAIT" for s in lab["server"].sockets("tcp", port)), WITHIN_S
    ):
        unmet(
            "the connection is open until the client closes it",
            "the server has closed it before",
            "serve a client until recv() returns 0, not for one request only",
        )


def reset(lab: Lab, client: Tcp) -> None:
    """Close the client with RST, and wait until that has come to the server's kernel."""
    port = client.address[1]
    client.reset()
    filter_ = f"tcp port {port} and tcp[tcpflags] & tcp-rst != 0"
    if not until(lambda: lab.packets(filter_, received_by="server"), WITHIN_S):
        unmet(
            "the connection is open until the client resets it",
            "the server has closed it before",
            "serve a client until recv() returns 0, not for one request only",
        )


def expect_served(program: Program, client: Tcp, request: bytes, wanted: bytes, hint: str) -> None:
    """Ask; where no answer comes because the program has ended, say how it ended."""
    try:
        ask(client, request, wanted, hint)
    except Unmet:
        expect_running(program, hint)
        raise


def connected(program: Program, lab: Lab, hint: str) -> Tcp:
    """Return a connection of the next client."""
    try:
        return lab["client2"].connect(SERVER_FROM_CLIENT2, hint=hint)
    except Unmet:
        expect_running(program, hint)
        raise


def expect_running(program: Program, hint: str) -> None:
    if until(lambda: not program.is_running(), 1.0):
        unmet("the server goes on with the next client", f"it {program.how_it_ended()}", hint)


def finish(client: Tcp) -> None:
    """Send FIN; the client goes on reading."""
    try:
        client.finish()
    except OSError:
        unmet(
            "the connection is open when the client has sent its requests",
            "the server has reset it",
            "many requests at once are no reason to close",
        )
