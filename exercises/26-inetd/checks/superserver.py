"""An inetd with a configuration, and the servers that it has started as the kernel shows them."""

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

from labctl.testing import WITHIN_S, Lab, Program, Submission, Tcp, Unmet, expect, unmet, until

SERVER = "10.0.1.1"

CONFIGURATION = "inetd.conf"

CAT = "/bin/cat"

CONFIGURE_PORT = 8099
CONFIGURE = f"{CONFIGURE_PORT} stream tcp nowait - /bin/sh sh configure.sh"
"""A service that takes the next configuration: how a check gets at a file in the sandbox."""

DATAGRAMS = "/usr/bin/env env python3 datagrams.py"
"""A server that answers each datagram with its pid, and ends after the datagram "end"."""

ACCEPTS = "/usr/bin/env env python3 accepts.py"
"""A server that accepts, says its pid and what it has read, and ends after "end"."""

_FILES = {
    "accepts.py": """
import os, socket
listener = socket.socket(fileno=0)
data = b""
while data != b"end":
    connection, _ = listener.accept()
    with connection:
        data = connection.recv(2000)
        connection.sendall(b"%d %b" % (os.getpid(), data))
""",
    "configure.sh": f"cat >{CONFIGURATION}\n",
    "datagrams.py": """
import os, socket
sock = socket.socket(fileno=0)
data = b""
while data != b"end":
    data, sender = sock.recvfrom(2000)
    sock.sendto(b"%d %b" % (os.getpid(), data), sender)
""",
}

_PLACE = Path(__file__).with_name("place.py").read_text()


def start(submission: Submission, *lines: str) -> Program:
    """Start it with these lines as its configuration."""
    files = json.dumps({CONFIGURATION: _text(lines), **_FILES})
    through = ("python3", "-c", _PLACE, files)
    return submission.start("server", "inetd", CONFIGURATION, through=through)


def configure(lab: Lab, program: Program, *lines: str) -> None:
    """Give it another configuration, and SIGHUP."""
    hint = "a server on a TCP port gets the connection as 0, 1 and 2"
    client = connect(lab, CONFIGURE_PORT, hint)
    client.send(_text(lines).encode())
    client.finish()
    client.expect_end(hint=hint)
    program.signal(signal.SIGHUP)
    program.lines_until(
        "READY", hint="SIGHUP: read the file again, open and close ports, and print READY once more"
    )


def connect(lab: Lab, port: int, hint: str, node: str = "client1") -> Tcp:
    return lab[node].connect((SERVER, port), hint=hint)


def echoes(client: Tcp, word: bytes, hint: str) -> None:
    """Send a word, and wait until it comes back."""
    client.send(word, hint=hint)
    got = client.receive_exactly(len(word), expected=f"{word!r} back", hint=hint)
    if got != word:
        # What a server says of its trouble comes here as well: its stderr is the connection.
        with suppress(Unmet):
            got += client.everything()
        unmet(f"{word[:60]!r} back", f"{got[:300]!r}", hint)


def servers(program: Program, word: str) -> list[int]:
    """Return the processes that were started with that word among their arguments."""
    return [pid for pid in program.pids()[1:] if word in command(pid)]


def let_settle(program: Program, word: str) -> None:
    """Wait until each server with that word waits for something, or has ended."""
    until(lambda: all(_state(pid) in "SZ" for pid in servers(program, word)), WITHIN_S)


def command(pid: int) -> list[str]:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:
        return []
    return [word.decode(errors="replace") for word in words]


def is_stopped(program: Program) -> bool:
    """Whether inetd itself stands still."""
    return [_state(pid) for pid in program.pids()[:1]] == ["T"]


def zombies(program: Program) -> int:
    return sum(_state(pid) == "Z" for pid in program.pids())


def expect_alone(program: Program, hint: str) -> None:
    """Wait until no process but inetd itself is left."""
    expect(
        until(lambda: len(program.pids()) == 1, WITHIN_S),
        expected="one process is left, inetd itself",
        actual=f"{len(program.pids())} are left, {zombies(program)} of them zombies",
        hint=hint,
    )


def files(pid: int) -> dict[int, str]:
    """Return what each descriptor of a process is."""
    folder = f"/proc/{pid}/fd"
    return {int(name): os.readlink(f"{folder}/{name}") for name in os.listdir(folder)}


_OF_THE_C_LIBRARY = 1 << 31 | 1 << 32
"""Signals 32 and 33: no program can say what becomes of them; whoever started labctl can."""


def ignored(pid: int) -> int:
    """Return the set of signals that a process ignores."""
    return int(_field(pid, "SigIgn"), 16) & ~_OF_THE_C_LIBRARY


def _state(pid: int) -> str:
    try:
        return _field(pid, "State")[:1]
    except OSError:
        return ""


def _field(pid: int, name: str) -> str:
    text = Path(f"/proc/{pid}/status").read_text()
    return text.split(f"\n{name}:\t", 1)[1].split("\n", 1)[0]


def _text(lines: tuple[str, ...]) -> str:
    return "".join(f"{line}\n" for line in lines)
