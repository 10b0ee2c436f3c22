"""The clients of the checks of time-wait, and what the kernel has of the server's connections."""

import random

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Submission,
    Tcp,
    expect,
    expect_equal,
    machine_error,
    unmet,
    until,
)

PORT = 8080
SERVER = ("10.0.1.1", PORT)
SERVER_FROM_CLIENT2 = ("10.0.2.1", PORT)
SERVER_FROM = {"client1": SERVER, "client2": SERVER_FROM_CLIENT2}

PLAIN = "leave SO_LINGER alone, and let no other process have the connection"
TO_THE_END = "recv() in a loop until it returns nothing; then close(), and no SO_LINGER before it"
CLOSING = ("FIN-WAIT-1", "FIN-WAIT-2", "CLOSING", "LAST-ACK", "TIME-WAIT")


def started(submission: Submission) -> Program:
    return submission.start("server", "sink_server", "0.0.0.0", str(PORT))


def restarted(submission: Submission) -> Program:
    """Start the program again, for a port that connections of the first one still have."""
    program = submission.start("server", "sink_server", "0.0.0.0", str(PORT), ready=False)
    program.lines_until(
        "READY",
        hint="one option of setsockopt(), set before bind(), lets it bind beside old connections",
        within_s=2 * WITHIN_S,
    )
    return program


def expect_served(lab: Lab, program: Program, rng: random.Random, node: str) -> Tcp:
    """Let a client send something and close its side; the program takes it in and closes too.

    The client closes when the program has received everything, so it is not first by chance.
    """
    client = lab[node].connect(SERVER_FROM[node], hint=f"the program listens on port {PORT}")
    count = rng.randrange(1, 1000)
    client.send(rng.randbytes(count), hint=TO_THE_END)
    let_it_be_received(lab, client)
    client.finish()
    expect_end(program, client, count)
    return client


def expect_end(program: Program, client: Tcp, count: int) -> None:
    """Wait until the server has closed too, and compare what it says about the client."""
    client.expect_end(hint=TO_THE_END)
    said = program.line(expected=f'the line "RECEIVED {count}"', hint=TO_THE_END)
    expect(
        said == f"RECEIVED {count}",
        expected=f'the line "RECEIVED {count}": all that the client has sent',
        actual=f'the line "{said}"',
        hint=TO_THE_END,
    )


def state_at(lab: Lab, node: str, client: Tcp) -> str:
    """Return the state of a connection at one of its ends; it has none when it is over."""
    local = PORT if node == "server" else client.address[1]
    for entry in lab[node].sockets("tcp", client.address[1]):
        if entry.local_port == local:
            return entry.state
    return ""


def let_it_be_received(lab: Lab, client: Tcp) -> None:
    """Wait until the program has accepted the connection and received all that came."""

    def is_over_or_received() -> str:
        for entry in lab["server"].sockets("tcp", client.address[1]):
            if entry.local_port != PORT:
                continue
            # The inode is 0 before accept() and after close(). What is not acknowledged has not come.
            if entry.inode and entry.recv_q == 0 and client.unacknowledged == 0:
                return "received"
            if entry.inode or entry.state not in CLOSING:
                return ""
        return "over"

    outcome = until(is_over_or_received, WITHIN_S)
    expect(
        outcome == "received",
        expected="the program receives what its client has sent, and keeps the connection",
        actual="it has closed the connection" if outcome else "it does not receive it",
        hint=TO_THE_END,
    )


def expect_state(lab: Lab, node: str, client: Tcp, state: str, hint: str) -> None:
    """Wait until a connection is in that state at one of its ends."""
    if not until(lambda: state_at(lab, node, client) == state, WITHIN_S):
        where = "the server's end" if node == "server" else "the client's end"
        unmet(
            f"{where} of the connection is {state or 'over'}",
            f"it is {state_at(lab, node, client) or 'over'}",
            hint,
        )


def killed_with_client(lab: Lab, program: Program) -> Tcp:
    """Kill the program while it has a client and nothing of him unread; return the client."""
    client = lab["client1"].connect(SERVER)
    client.send(b"some words", hint=TO_THE_END)
    let_it_be_received(lab, client)
    program.kill()
    expect_state(
        lab, "server", client, "FIN-WAIT-2", "a killed server's kernel sends FIN: " + PLAIN
    )
    return client


def still(lab: Lab, client: Tcp, state: str) -> None:
    """Prove that the program was started beside that connection."""
    found = state_at(lab, "server", client)
    if found != state:
        raise machine_error(
            f'the connection is not in {state} any more, but "{found}"', where="check"
        )


def expect_only_listening(lab: Lab, hint: str) -> None:
    """Wait until the server's node has no socket on the port but one that listens."""

    def states() -> list[str]:
        return [entry.state for entry in lab["server"].sockets("tcp", PORT)]

    until(lambda: states() == ["LISTEN"], WITHIN_S)
    expect_equal(", ".join(states()), "LISTEN", "sockets of the server's node", hint)
