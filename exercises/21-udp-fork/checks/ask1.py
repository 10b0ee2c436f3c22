"""ASK/1 between the check and the program: it is the clients, and the source that takes its time."""

from contextlib import suppress

from labctl.testing import (
    WITHIN_S,
    Address,
    Lab,
    Listener,
    Program,
    Submission,
    Tcp,
    Udp,
    Unmet,
    expect_equal,
    until,
)

PORT = 4301
SERVERS = {"client1": ("10.0.1.1", PORT), "client2": ("10.0.2.1", PORT)}
"""The server's address, as each client knows it."""

SOURCE = ("10.0.2.2", 4300)
"""Where the program finds the check's source, on client2."""


def source(lab: Lab) -> Listener:
    return lab["client2"].listen(SOURCE[1], backlog=64)


def start(submission: Submission, *, children: int = 8, wait_ms: int = 60000) -> Program:
    options = ("-u", f"{SOURCE[0]}:{SOURCE[1]}", "-n", str(children), "-t", str(wait_ms))
    return submission.start("server", "ask_server", *options, "0.0.0.0", str(PORT))


class Question:
    """One question of one client, and its connection to the source when there is one."""

    def __init__(self, lab: Lab, number: int, node: str = "client1") -> None:
        self.udp: Udp = lab[node].udp()
        self.server: Address = SERVERS[node]
        self.name = (number * 0x01010101 % 2**32).to_bytes(4, "big")
        self.text = b"what is %d?" % number
        self.line = b"it is %d" % (number * number)
        self.asked: Tcp | None = None

    def ask(self) -> None:
        self.udp.send(self.name + self.text, self.server)

    def answer(self) -> None:
        """Have the source answer."""
        assert self.asked is not None
        self.asked.send(self.line + b"\n")

    def expect_answer(self, wanted: bytes, hint: str) -> None:
        """Receive the answer and compare it with the right one, and its sender with the server."""
        what = f"an answer to {repr(self.text[:40])[1:]}"
        said, sender = self.udp.receive_from(expected=what, hint=hint)
        expect_equal(said, self.name + wanted, what, hint)
        expect_equal(
            f"{sender[0]}:{sender[1]}",
            f"{self.server[0]}:{self.server[1]}",
            "sender of the answer",
            "the child has the server's socket, too: send the answer with that",
        )


def expect_asked(listener: Listener, questions: list[Question], hint: str) -> Question:
    """Accept a connection; return which question it is, whose ``asked`` is at the source now."""
    connection = listener.accept(expected="the program connects to the source", hint=hint)
    text = connection.line(expected="a question, as a line", hint=hint)
    for question in questions:
        if question.text == text:
            question.asked = connection
            return question
    expect_equal(text, questions[0].text, "what the source is asked", hint)
    raise AssertionError


def send_piece(lab: Lab, question: Question, piece: bytes) -> None:
    """Have the source send a piece of its line, and the only child take it.

    Where that leaves it in the socket, or has closed it, its answer has to show what is wrong.
    """
    source = question.asked
    assert source is not None
    with suppress(Unmet):
        source.send(piece)

    def is_taken() -> bool:
        # In this order: what is acknowledged is in the child's socket, or was taken.
        has_come = source.unacknowledged == 0
        held = [s for s in lab["server"].sockets("tcp", SOURCE[1]) if s.inode]
        return not held or (has_come and all(s.recv_q == 0 for s in held))

    until(is_taken, WITHIN_S)


def state(pid: int) -> str:
    """Return the letter by which the kernel and `ps` call what a process does; empty if it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            # The name in field 2 may hold blanks and parentheses; the last one ends it.
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return ""
