"""The server that the checks of simple-nc play, and what they wait for in the kernel."""

from labctl.testing import (
    WITHIN_S,
    Lab,
    Listener,
    Program,
    Submission,
    Tcp,
    Unmet,
    expect,
    expect_equal,
    unmet,
    until,
)

PORT = 8080
SERVER = ("10.0.1.1", PORT)

AT_ONCE = (
    "send what read() returned before you call read() again, line end or not; do not wait for "
    "answers meanwhile"
)


def connected(lab: Lab, submission: Submission) -> tuple[Program, Tcp]:
    """Start the program, and accept its connection."""
    return accepted(lab["server"].listen(PORT), submission)


def accepted(listener: Listener, submission: Submission) -> tuple[Program, Tcp]:
    """Start the program, and accept its connection there."""
    program = submission.start("client1", "simple_nc", *map(str, SERVER), ready=False)
    server = listener.accept(hint="it connects first, before there is any input")
    return program, server


def typed(program: Program, data: bytes, hint: str, within_s: float = WITHIN_S) -> None:
    """Feed its input."""
    try:
        program.write(data, within_s=within_s)
    except Unmet as error:
        unmet(error.expected, error.actual, hint)


def typed_and_received(program: Program, server: Tcp, data: bytes) -> None:
    """Feed its input, and receive just that at the server."""
    typed(program, data, AT_ONCE)
    expected = f"{str(data)[1:]} arrives while the input is open"
    received = server.receive_exactly(len(data), expected=expected, hint=AT_ONCE)
    expect_equal(received, data, "what arrives", "send the bytes as they are")


def client_state(lab: Lab) -> str:
    """Return the state of the program's socket; it has none when the connection is gone."""
    for entry in lab["client1"].sockets("tcp", PORT):
        return entry.state
    return ""


def let_it_be_told(lab: Lab, state: str, hint: str) -> None:
    """Wait until what the server did has come to the program's socket."""
    if not until(lambda: client_state(lab) == state, WITHIN_S):
        unmet(
            f"the program's socket is {_named(state)}",
            f"it is {_named(client_state(lab))}",
            hint,
        )


def _named(state: str) -> str:
    return f"in {state}" if state else "reset: no connection any more"


def expect_error(program: Program, call: str, name: str, hint: str) -> None:
    """Wait for the end with exit status 1 and a line about the failed call."""
    ended = program.expect_exit(1, hint=hint)
    said = ended.stderr.decode(errors="backslashreplace").splitlines()
    expect(
        any(line.startswith(f"error: {call}: {name}") for line in said),
        expected=f"a line `error: {call}: {name} (…)` on stderr",
        actual=f"the last line is: {said[-1]}" if said else "nothing on stderr",
        hint=hint,
    )
