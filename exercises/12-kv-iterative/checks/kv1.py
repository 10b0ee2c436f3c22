"""KV/1 as the checks speak it, and what the kernel knows about a connection."""

from collections.abc import Sequence
from itertools import pairwise

from labctl.testing import WITHIN_S, Lab, Tcp, expect_equal, unmet, until

PORT = 8085
SERVER = ("10.0.1.1", PORT)
SERVER_FROM_CLIENT2 = ("10.0.2.1", PORT)
LARGEST = 4096


def put(key: bytes, value: bytes) -> bytes:
    return b"PUT %b %d\n%b\n" % (key, len(value), value)


def value(content: bytes) -> bytes:
    return b"VALUE %d\n%b\n" % (len(content), content)


def shown(request: bytes) -> str:
    """Return what to call a request: its first line."""
    line, end, _ = request.partition(b"\n")
    if not end:
        return f"{len(line)} bytes without an LF"
    return f'"{line[:40].decode(errors="backslashreplace")}"'


def answer(client: Tcp, request: bytes, hint: str = "") -> bytes:
    """Return one whole answer, cut from the stream as KV/1 says."""
    expected = f"an answer to {shown(request)}"
    line = client.line(expected=expected, hint=hint)
    if not line.startswith(b"VALUE "):
        return line + b"\n"
    length = line.removeprefix(b"VALUE ")
    if not (length.isdigit() and int(length) <= LARGEST):
        unmet(f"{expected}: VALUE and a length", str(line)[1:], hint)
    content = client.receive_exactly(
        int(length) + 1, expected=f"{length.decode()} bytes of value and an LF", hint=hint
    )
    return line + b"\n" + content


def ask(client: Tcp, request: bytes, wanted: bytes, hint: str = "") -> None:
    """Send a request and compare its answer with the right one."""
    client.send(request, hint=hint)
    expect_answer(client, request, wanted, hint)


def expect_answer(client: Tcp, request: bytes, wanted: bytes, hint: str = "") -> None:
    what = f"the answer to {shown(request)}"
    expect_equal(answer(client, request, hint), wanted, what, hint)


def let_it_be_received(lab: Lab, node: str, port: int) -> None:
    """Wait until a program in the node has taken all that has come on the connection.

    ``port`` is the other end's. A program that only peeks leaves it there: then it goes on after a
    second all the same.
    """
    until(lambda: all(s.recv_q == 0 for s in lab[node].sockets("tcp", port)), 1.0)


def let_it_arrive(client: Tcp, request: bytes) -> None:
    """Wait until the other end's kernel has acknowledged what was sent."""
    if not until(lambda: client.unacknowledged == 0, WITHIN_S):
        unmet(
            f"the connection takes {shown(request)}",
            "it is not acknowledged",
            "serve a client until it closes: a connection that is closed before takes nothing more",
        )


def send_in_pieces(lab: Lab, sender: Tcp, data: bytes, cuts: Sequence[int], *, to: str) -> None:
    """Send ``data``, each piece when the program in the node ``to`` has received the one before."""
    for start, end in pairwise([0, *sorted(cuts), len(data)]):
        sender.send(data[start:end])
        let_it_arrive(sender, data)
        let_it_be_received(lab, to, sender.address[1])


def expect_closed(lab: Lab, node: str, client: Tcp, hint: str) -> None:
    """Wait until the server's FIN or RST has come to the client in that node."""
    port = client.address[1]

    def has_ended() -> bool:
        return not any(
            s.state == "ESTAB" and s.local_port == port for s in lab[node].sockets("tcp", port)
        )

    if not until(has_ended, WITHIN_S):
        unmet("the server closes the connection", "it is still open", hint)
