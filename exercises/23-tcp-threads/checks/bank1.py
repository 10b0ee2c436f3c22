"""BANK/1 as the checks speak it, and what the kernel says of the server's threads."""

import os

from labctl.testing import (
    Lab,
    Program,
    Submission,
    Tcp,
    expect,
    expect_equal,
    unmet,
)

PORT = 8090
SERVERS = {"client1": ("10.0.1.1", PORT), "client2": ("10.0.2.1", PORT)}
"""The server's address, as each client knows it."""

ACCOUNTS = 100
START = 1000
TOTAL = ACCOUNTS * START


def start(submission: Submission, *, clients: int = 16, wait_ms: int = 60000) -> Program:
    options = ("-n", str(clients), "-t", str(wait_ms))
    return submission.start("server", "bank_server", *options, "0.0.0.0", str(PORT))


def connect(lab: Lab, count: int) -> list[Tcp]:
    """Return connections, from either client in turn."""
    nodes = [("client1", "client2")[number % 2] for number in range(count)]
    return [lab[node].connect(SERVERS[node]) for node in nodes]


def ask(client: Tcp, request: bytes, wanted: bytes, hint: str = "") -> None:
    """Send a request and compare its answer with the right one."""
    client.send(request + b"\n", hint=hint)
    what = f'the answer to "{request.decode()}"'
    expect_equal(client.line(expected=what, hint=hint), wanted, what, hint)


def balances(client: Tcp, hint: str = "") -> list[int]:
    """Ask for all balances."""
    client.send(b"LIST\n", hint=hint)
    return read_list(client, hint)


def read_list(client: Tcp, hint: str) -> list[int]:
    line = client.line(expected='the answer to "LIST"', hint=hint)
    word, *numbers = line.split(b" ")
    expect(
        word == b"LIST" and len(numbers) == ACCOUNTS and all(n.isdigit() for n in numbers),
        expected=f'"LIST" and {ACCOUNTS} numbers with one blank before each',
        actual=f"{line[:60]!r}…",
        hint=hint,
    )
    return [int(number) for number in numbers]


def move(source: int, target: int, amount: int) -> bytes:
    return b"MOVE %d %d %d" % (source, target, amount)


def send_all_at_once(program: Program, conversations: list[tuple[Tcp, list[bytes]]]) -> None:
    """Have the requests of many clients wait for the program, so that its threads set off together.

    Each client has to have been served already: its thread is there.
    """
    program.freeze()
    for client, requests in conversations:
        client.send(b"".join(request + b"\n" for request in requests))
    program.thaw()


def are_asleep(program: Program) -> bool:
    """Whether the kernel shows each thread of a program as waiting, each time it is asked."""
    for _ in range(50):
        for pid in program.pids():
            if any(_state(f"/proc/{pid}/task/{task}/stat") not in "SZ" for task in _tasks(pid)):
                return False
    return True


def _tasks(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def _state(path: str) -> str:
    try:
        with open(path) as file:
            # The name in field 2 may hold blanks and parentheses; the last one ends it.
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def expect_oks(client: Tcp, count: int, hint: str) -> None:
    for number in range(count):
        what = f"answer {number + 1} of {count}"
        said = client.line(expected=what, hint=hint)
        if said != b"OK":
            unmet(f'{what}: "OK"', f"{said[:60]!r}", hint)
