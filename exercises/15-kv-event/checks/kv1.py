"""KV/1 as the checks speak it, and what the kernel says of the server and its sockets."""

from labctl.testing import WITHIN_S, Lab, Tcp, expect, expect_equal, unmet, until

PORT = 8085
SERVERS = {"client1": ("10.0.1.1", PORT), "client2": ("10.0.2.1", PORT)}
"""The server's address, as each client knows it."""
BIG = b"".join(b"%07d\n" % number for number in range(512))
"""The largest value that there is, and one in which a gap shows."""
GET_BIG = b"GET big\n"


def connect(lab: Lab, count: int) -> list[Tcp]:
    """Return connections, from either client in turn."""
    nodes = [("client1", "client2")[number % 2] for number in range(count)]
    hint = "accept() whoever comes, as soon as the listening socket is readable"
    return [lab[node].connect(SERVERS[node], hint=hint) for node in nodes]


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


def let_it_be_received(lab: Lab, client: Tcp) -> None:
    """Wait until the server's program has taken all that was sent.

    A program that only peeks leaves it there, and one that is busy with another client does not
    come to it: then it goes on after a second all the same.
    """
    if not until(lambda: client.unacknowledged == 0, WITHIN_S):
        unmet(
            "the connection takes what the client sends",
            "it is not acknowledged",
            "serve a client until it closes: a connection that is closed before takes nothing more",
        )
    port = client.address[1]
    until(lambda: all(s.recv_q == 0 for s in lab["server"].sockets("tcp", port)), 1.0)


def small_buffers(lab: Lab, *, grow: bool = True) -> None:
    """Let the server's sockets hold 64 KiB of answers at most, whatever the machine prefers."""
    lab["server"].set("net.ipv4.tcp_wmem", f"4096 {16384 if grow else 65536} 65536")


def connect_reader(lab: Lab) -> Tcp:
    """Return a connection with room for some dozen big values, and no more while nobody reads."""
    return lab["client1"].connect(SERVERS["client1"], receive_buffer=65536)


def state(lab: Lab, port: int) -> str:
    """Return the state of the server's socket for the client with that port; empty if it is gone."""
    sockets = lab["server"].sockets("tcp", port)
    return "".join(s.state for s in sockets if (s.local_port, s.peer_port) == (PORT, port))


def expect_answers_begin(client: Tcp) -> None:
    expect(
        until(lambda: client.unread > 0, WITHIN_S),
        expected=f'answers to many "{GET_BIG.decode().strip()}"',
        actual="nothing arrived",
        hint="requests that come together are answered one after the other",
    )


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
