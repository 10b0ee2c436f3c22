"""CHAT/1 as the checks speak it, and what the kernel says of the server and its sockets."""

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

PORT = 8091
SERVERS = {"client1": ("10.0.1.1", PORT), "client2": ("10.0.2.1", PORT)}
"""The server's address, as each client knows it."""


def start(submission: Submission, *, most_unsent: int = 65536, silence_ms: int = 60000) -> Program:
    options = ("-q", str(most_unsent), "-t", str(silence_ms))
    return submission.start("server", "chat_server", *options, "0.0.0.0", str(PORT))


def connect(lab: Lab, count: int, *, is_frozen: bool = False) -> list[Tcp]:
    """Return connections, from either client in turn, each accepted before the next one comes."""
    clients = []
    hint = "listen() says how many may wait to be accepted: here 40 come at once"
    for number in range(count):
        node = ("client1", "client2")[number % 2]
        clients.append(lab[node].connect(SERVERS[node], hint=hint))
        if not is_frozen:
            expect_accepted(lab, clients[-1])
    return clients


def expect_accepted(lab: Lab, client: Tcp) -> None:
    expect(
        until(lambda: is_held(lab, client), WITHIN_S),
        expected="the server accepts a connection",
        actual="it is left in the queue",
        hint="accept() whoever comes",
    )


def wait_until_there(client: Tcp) -> None:
    """Wait until all that a client has sent is in the server's socket."""
    until(lambda: client.unacknowledged == 0, WITHIN_S)


def join(lab: Lab, count: int) -> list[Tcp]:
    """Return connections that the server has accepted, and is known to serve."""
    clients = connect(lab, count)
    expect_all_joined(clients)
    return clients


def expect_all_joined(clients: list[Tcp], hint: str = "accept() whoever comes") -> None:
    """Have the last of them greet until all the others have heard it.

    Each that is accepted later misses the greetings before.
    """
    *others, last = clients
    for number in range(1, 200):
        last.send(b"hello %d\n" % number)
        if until(lambda: all(other.unread for other in others), 0.05):
            break
    else:
        deaf = sum(not other.unread for other in others)
        unmet("every client gets what another one says", f"{deaf} of them get nothing", hint)
    last.send(b"so\n")
    for other in others:
        while other.line(expected='the line "so"', hint=hint) != b"so":
            pass


def expect_lines(client: Tcp, wanted: list[bytes], what: str, hint: str) -> None:
    for number, line in enumerate(wanted, start=1):
        where = f"{what}, line {number} of {len(wanted)}"
        try:
            said = client.line(expected=where, hint=hint)
        except Unmet as error:
            unmet(f"{where}: {line[:40]!r}", error.actual, hint)
        if said != line:
            expect_equal(said, line, where, hint)


def small_buffers(lab: Lab) -> None:
    """Let the server's sockets hold 64 KiB at most, and its clients' all, whatever the machine prefers.

    Who speaks need not wait then, also where the server receives no more.
    """
    lab["server"].set("net.ipv4.tcp_wmem", "4096 16384 65536")
    for node in SERVERS:
        lab[node].set("net.ipv4.tcp_wmem", "4096 1048576 4194304")


def slow_reader(lab: Lab) -> Tcp:
    """Return a connection with little room for what nobody reads."""
    return lab["client1"].connect(SERVERS["client1"], receive_buffer=16384)


def is_held(lab: Lab, client: Tcp) -> bool:
    """Whether the server's program has accepted a client, and has its connection open."""
    address, port = client.address
    return any(
        s.peer_port == port and s.peer.endswith(address) and s.inode  # or ::ffff:ADDRESS
        for s in lab["server"].sockets("tcp", PORT)
    )


def held(lab: Lab) -> int:
    """Return how many connections the server's program has accepted and has open."""
    sockets = lab["server"].sockets("tcp", PORT)
    return sum(s.state == "ESTAB" and s.inode != 0 for s in sockets)


def established(lab: Lab) -> int:
    """Return how many connections the server's kernel has of which neither end has closed."""
    return sum(s.state == "ESTAB" for s in lab["server"].sockets("tcp", PORT))
