"""BANK/1 as the checks speak it."""

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Submission,
    Tcp,
    expect,
    expect_equal,
    unmet,
    until,
)

PORT = 8090
SERVERS = {"client1": ("10.0.1.1", PORT), "client2": ("10.0.2.1", PORT)}
"""The server's address, as each client knows it."""

ACCOUNTS = 100
START = 1000
TOTAL = ACCOUNTS * START

AFTER_A_STOP = "Or recv() has failed with EINTR, after SIGCONT (SO_RCVTIMEO): make it again"


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
        wait_until_there(client)
    program.thaw()


def wait_until_there(client: Tcp) -> None:
    """Wait until all that a client has sent is in the program's socket."""
    until(lambda: client.unacknowledged == 0, WITHIN_S)


def expect_oks(client: Tcp, count: int, hint: str) -> None:
    for number in range(count):
        what = f"answer {number + 1} of {count}"
        said = client.line(expected=what, hint=f"{hint}. {AFTER_A_STOP}")
        if said != b"OK":
            unmet(f'{what}: "OK"', f"{said[:60]!r}", hint)
