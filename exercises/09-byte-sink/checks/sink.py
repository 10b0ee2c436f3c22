"""What the checks of byte-sink ask of the program, and of the kernel of the server's node."""

from labctl.testing import WITHIN_S, Lab, Program, Submission, Tcp, Unmet, expect, unmet, until

PORT = 8080
SERVER = ("10.0.1.1", PORT)
SERVER_FROM_CLIENT2 = ("10.0.2.1", PORT)

STEPS = "one command, one system call, one line on stdout, flushed; then read the next command"


def started(submission: Submission, backlog: int | None = None) -> Program:
    """Start the program; with a backlog, let it bind and listen."""
    program = submission.start("server", "byte_sink", "0.0.0.0", str(PORT), ready=False)
    if backlog is not None:
        answered(program, "b", f"BOUND 0.0.0.0:{PORT}", "b: socket.bind, getsockname; nothing else")
        answered(program, f"l {backlog}", f"LISTENING {backlog}", "l N: listen(N); nothing else")
    return program


def tell(program: Program, command: str, hint: str = STEPS) -> None:
    """Give a command, and leave its answer for later."""
    try:
        program.write(f"{command}\n".encode())
    except Unmet as error:
        unmet(f'the program reads the command "{command}"', error.actual, hint)


def answered(program: Program, command: str, wanted: str, hint: str = STEPS) -> None:
    """Give a command and compare the answer with the right one."""
    tell(program, command, hint)
    expect_answer(program, command, wanted, hint)


def expect_answer(program: Program, command: str, wanted: str, hint: str = STEPS) -> None:
    """Compare the answer to a command that was given with the right one."""
    said = program.line(expected=f'"{wanted}" as the answer to "{command}"', hint=hint)
    expect(
        said == wanted,
        expected=f'"{wanted}" as the answer to "{command}"',
        actual=f'"{said}"',
        hint=hint,
    )


def accepted(program: Program, client: Tcp) -> None:
    """Let the program accept, and compare the answer with the client's own address."""
    address, port = client.address
    hint = "accept() itself tells who the client is: a pair of connection and address"
    answered(program, "a", f"ACCEPTED {address}:{port}", hint)


def listening(lab: Lab):
    """Return the listening socket of the node: Recv-Q counts who waits, Send-Q is the backlog."""
    for entry in lab["server"].sockets("tcp", PORT):
        if entry.state == "LISTEN":
            return entry
    return None


def server_end(lab: Lab, client: Tcp):
    """Return the server's end of a connection. Its inode is 0 until somebody has accepted it."""
    for entry in lab["server"].sockets("tcp", client.address[1]):
        if entry.local_port == PORT:
            return entry
    return None


def expect_waiting(lab: Lab, number: int, hint: str) -> None:
    """Wait until so many connections wait for accept()."""

    def is_so() -> bool:
        entry = listening(lab)
        return entry is not None and entry.recv_q == number

    if not until(is_so, WITHIN_S):
        entry = listening(lab)
        unmet(
            f"{number} in Recv-Q of the LISTEN socket: so many wait for accept()",
            f"{entry.recv_q}" if entry else f"no socket listens on port {PORT}",
            hint,
        )


def expect_received(lab: Lab, client: Tcp, state: str, recv_q: int, hint: str) -> None:
    """Wait until the server's end is in that state, with so much in its receive queue."""

    def is_so() -> bool:
        entry = server_end(lab, client)
        return entry is not None and (entry.state, entry.recv_q) == (state, recv_q)

    if not until(is_so, WITHIN_S):
        entry = server_end(lab, client)
        unmet(
            f"{state}, Recv-Q {recv_q}, at the server's end of the connection",
            f"{entry.state}, Recv-Q {entry.recv_q}" if entry else "there is no such connection",
            hint,
        )


def expect_acknowledged(client: Tcp, hint: str) -> None:
    """Wait until the server's kernel has acknowledged all that the client has sent."""
    if not until(lambda: client.unacknowledged == 0, WITHIN_S):
        unmet(
            "what the client sends is acknowledged", f"{client.unacknowledged} bytes are not", hint
        )
