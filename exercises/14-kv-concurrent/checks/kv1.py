"""KV/1 as the checks speak it, in whole requests and in pieces."""

from collections.abc import Sequence
from itertools import pairwise

from labctl.testing import WITHIN_S, Lab, Tcp, expect_equal, unmet, until

PORT = 8085
SERVERS = {"client1": ("10.0.1.1", PORT), "client2": ("10.0.2.1", PORT)}
"""The server's address, as each client knows it."""


def connect_from(lab: Lab, number: int, hint: str = "") -> Tcp:
    """Return a connection from client1 for an even number, from client2 for an odd one."""
    node = ("client1", "client2")[number % 2]
    return lab[node].connect(SERVERS[node], hint=hint)


def connect(lab: Lab, count: int) -> list[Tcp]:
    """Return connections, from either client in turn."""
    return [connect_from(lab, number) for number in range(count)]


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


def let_it_be_received(lab: Lab, *clients: Tcp, within_s: float = 1.0) -> None:
    """Wait until the server's program has taken all that was sent.

    A program that only peeks leaves it there, and one that is busy with another client does not
    come to it: then it goes on after that time all the same.
    """
    if not until(lambda: not any(client.unacknowledged for client in clients), WITHIN_S):
        unmet(
            "the connection takes what the client sends",
            "it is not acknowledged",
            "serve a client until it closes: a connection that is closed before takes nothing more",
        )
    ports = {client.address[1] for client in clients}

    def left() -> int:
        sockets = lab["server"].sockets("tcp", PORT)
        return sum(s.recv_q for s in sockets if s.peer_port in ports)

    until(lambda: left() == 0, within_s)


def has_closed(lab: Lab, port: int) -> bool:
    """Whether the server's program has closed its end of the connection that came from the port."""
    states = [s.state for s in lab["server"].sockets("tcp", PORT) if s.peer_port == port]
    return not {"ESTAB", "CLOSE-WAIT"} & {*states}


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    return [data[start:end] for start, end in pairwise([0, *sorted(cuts), len(data)])]
