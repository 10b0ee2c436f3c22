"""RESP2 as the checks speak it, and programs of redis that are run against the server."""

from labctl.testing import WITHIN_S, Ended, Lab, Tcp, Unmet, expect_equal, unmet, until

PORT = 6379
SERVER = ("10.0.1.1", PORT)
OK = b"+OK\r\n"
NOTHING = b"$-1\r\n"


def string(content: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(content), content)


def number(value: int) -> bytes:
    return b":%d\r\n" % value


def command(*words: bytes) -> bytes:
    return b"*%d\r\n%b" % (len(words), b"".join(map(string, words)))


def typed(*words: bytes) -> str:
    """Return a command as one would type it."""
    return " ".join(word[:20].decode(errors="backslashreplace") for word in words)


def answer(client: Tcp, what: str, hint: str) -> bytes:
    """Return one whole answer, cut from the stream as RESP2 says."""
    line = client.line(expected=what, hint=hint) + b"\n"
    length = line[1:].removesuffix(b"\r\n")
    if line[:1] == b"$" and line.endswith(b"\r\n") and length.isdigit() and len(length) < 7:
        line += client.receive_exactly(int(length) + 2, expected=what, hint=hint)
    return line


def ask(client: Tcp, words: list[bytes], wanted: bytes, hint: str) -> None:
    """Send a command and compare its answer with the right one."""
    client.send(command(*words), hint=hint)
    expect_answer(client, words, wanted, hint)


def expect_answer(client: Tcp, words: list[bytes], wanted: bytes, hint: str) -> None:
    what = f'the answer to "{typed(*words)}"'
    expect_equal(answer(client, what, hint), wanted, what, hint)


def let_it_arrive(*clients: Tcp) -> None:
    """Wait until the server's kernel has acknowledged all that was sent."""
    if not until(lambda: not any(client.unacknowledged for client in clients), WITHIN_S):
        unmet(
            "the connection takes what the client sends",
            "it is not acknowledged",
            "serve a client until it closes: a connection that is closed before takes nothing more",
        )


def let_it_be_received(lab: Lab, *clients: Tcp) -> None:
    """Wait until the server's program has taken all that was sent.

    A program that only peeks leaves it there: then it goes on after a second all the same.
    """
    let_it_arrive(*clients)
    ports = {client.address[1] for client in clients}

    def left() -> int:
        sockets = lab["server"].sockets("tcp", PORT)
        return sum(s.recv_q for s in sockets if s.peer_port in ports)

    until(lambda: left() == 0, 1.0)


def run(lab: Lab, *argv: str, feed: bytes = b"", hint: str) -> Ended:
    """Run a program of redis in client1; that it does not end is the server's fault."""
    program = lab["client1"].start(*argv)
    try:
        if feed:
            program.write(feed, within_s=4 * WITHIN_S)
        program.end_input()
        return program.end(expected=f"`{' '.join(argv)}` ends", hint=hint, within_s=4 * WITHIN_S)
    except Unmet:
        program.kill()
        raise
