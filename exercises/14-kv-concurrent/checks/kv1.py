"""KV/1 as the checks speak it, in whole requests and in pieces."""

from collections.abc import Sequence
from itertools import pairwise

from labctl.testing import WITHIN_S, Lab, Tcp, expect_equal, unmet, until

PORT = 8085
SERVERS = {"client1": ("10.0.1.1", PORT), "client2": ("10.0.2.1", PORT)}
"""The server's address, as each client knows it."""


def connect(lab: Lab, count: int, hint: str = "") -> list[Tcp]:
    """Return connections, from either client in turn."""
    nodes = [("client1", "client2")[number % 2] for number in range(count)]
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


def let_it_be_received(lab: Lab, client: Tcp, within_s: float = 1.0) -> None:
    """Wait until the server's program has taken all that was sent.

    A program that only peeks leaves it there, and one that is busy with another client does not
    come to it: then it goes on after that time all the same.
    """
    if not until(lambda: client.unacknowledged == 0, WITHIN_S):
        unmet(
            "the connection takes what the client sends",
            "it is not acknowledged",
            "serve a client until it closes: a connection that is closed before takes nothing more",
        )
    port = client.address[1]
    until(lambda: all(s.recv_q == 0 for s in lab["server"].sockets("tcp", port)), within_s)


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    return [data[start:end] for start, end in pairwise([0, *sorted(cuts), len(data)])]
