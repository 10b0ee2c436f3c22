"""FRAME/1 as the checks speak it: good frames, broken ones, and what is expected of a program's."""

import struct
import time
from typing import NamedTuple

from labctl.testing import WITHIN_S, Lab, Tcp, Unmet, expect, expect_equal, unmet, until

PORT = 9999
SERVER = ("10.0.0.2", PORT)

HELLO, DATA, ACK, ERROR, HEARTBEAT, GOODBYE = range(1, 7)
NAMES = {1: "HELLO", 2: "DATA", 3: "ACK", 4: "ERROR", 5: "HEARTBEAT", 6: "GOODBYE"}
MOST = 1024

HEADER = struct.Struct("!BBHIIIQ")

LAYOUT = "the table in README.md has every byte of a frame; numbers are big endian"
SUM = (
    "add up all bytes of header and payload as unsigned numbers, without the four of sum; count "
    "the payload's bytes with the length in your own byte order"
)


class Header(NamedTuple):
    version: int
    type: int
    flags: int
    seq: int
    length: int
    sum: int
    ts: int


def frame(
    kind: int,
    seq: int,
    payload: bytes = b"",
    *,
    version: int = 1,
    length: int | None = None,
    wrong_by: int = 0,
    flags: int = 0,
    ts: int = 0,
) -> bytes:
    """Return a frame, or what looks like one."""
    length = len(payload) if length is None else length
    unsummed = HEADER.pack(version, kind, flags, seq, length, 0, ts) + payload
    total = (sum(unsummed) + wrong_by) % 2**32
    return HEADER.pack(version, kind, flags, seq, length, total, ts) + payload


def expect_frame(
    connection: Tcp, kind: int, seq: int, payload: bytes | None = b"", hint: str = ""
) -> None:
    """Receive a frame of the program and compare each field with the right one.

    A payload of ``None`` is some text.
    """
    what = f"{NAMES[kind]} with seq {seq}"
    data = connection.receive_exactly(HEADER.size, expected=f"the header of {what}", hint=hint)
    header = Header(*HEADER.unpack(data))
    now = int(time.time())
    expect_equal((header.version, header.flags), (1, 0), f"version and flags of {what}", LAYOUT)
    expect_equal(_name(header.type), _name(kind), f"type of {what}", hint or LAYOUT)
    expect_equal(header.seq, seq, f"seq of {what}", "each end counts its own frames from 1")
    least, most = (1, MOST) if payload is None else (len(payload), len(payload))
    expect(
        least <= header.length <= most,
        expected=f"len of {what}: {least}" + (f" to {most}" if most > least else ""),
        actual=f"len: {header.length}",
        hint=LAYOUT,
    )
    got = connection.receive_exactly(header.length, expected=f"the payload of {what}", hint=hint)
    if payload is not None:
        expect_equal(got, payload, f"payload of {what}", hint)
    right = sum(data) - sum(data[12:16]) + sum(got)
    expect_equal(header.sum, right, f"sum of {what}", SUM)
    expect(
        now - 60 <= header.ts <= now + 1,
        expected=f"ts of {what}: seconds since 1970, about {now}",
        actual=f"ts: {header.ts}",
        hint="time(NULL), as 64 bits, big endian",
    )


def _name(kind: int) -> str:
    return f"{kind} ({NAMES.get(kind, 'no type at all')})"


def greet(lab: Lab, hint: str = "accept whoever comes", *, port: int = PORT) -> Tcp:
    """Return a connection to the program whose HELLO has been acknowledged."""
    connection = lab["client"].connect((SERVER[0], port), hint=hint)
    say_hello(connection, hint)
    return connection


def say_hello(connection: Tcp, hint: str) -> None:
    """Send HELLO and wait for its ACK."""
    connection.send(frame(HELLO, 1, b"Hello from client!"), hint=hint)
    expect_frame(connection, ACK, 1, hint=hint)


def let_it_be_received(lab: Lab, connection: Tcp) -> None:
    """Wait until the server's program has taken what was sent; a busy one is not waited for."""
    until(lambda: connection.unacknowledged == 0, WITHIN_S)
    port = connection.address[1]
    until(lambda: all(s.recv_q == 0 for s in lab["server"].sockets("tcp", port)), 1.0)


def held(lab: Lab, port: int) -> list[int]:
    """Return the peers' ports of the connections for which the server has a descriptor."""
    return [s.peer_port for s in lab["server"].sockets("tcp", port) if s.inode and s.peer_port]


def expect_left(lab: Lab, peer_port: int, hint: str, *, port: int = PORT) -> None:
    expect(
        until(lambda: peer_port not in held(lab, port), WITHIN_S),
        expected="the server closes the descriptor of this client's connection",
        actual=f"{WITHIN_S:g} s later it has it",
        hint=hint,
    )


def greet_in_a_free_place(lab: Lab, hint: str) -> Tcp:
    """Return a greeted connection; with threads a place may be free a moment after the close."""
    refused: list[Unmet] = []

    def greeted() -> Tcp | None:
        connection = lab["client"].connect(SERVER, hint=hint)
        try:
            say_hello(connection, hint)
        except Unmet as error:
            connection.close()
            refused.append(error)
            return None
        return connection

    connection = until(greeted, WITHIN_S)
    if connection is None:
        raise refused[-1]
    return connection


def sent_now(client: Tcp, data: memoryview) -> int:
    """Send what the kernel takes at once; return how much that was."""
    client.socket.setblocking(False)
    try:
        return client.socket.send(data)
    except BlockingIOError:
        return 0
    except OSError as error:
        unmet(
            "the connection of a client that does not read stays",
            f"it was cut: {error.strerror}",
            "EAGAIN from send() means that the client has to read first; it is no reason to close",
        )


def has_ended(client: Tcp) -> bool:
    """Whether FIN or RST has come; nothing else is expected here."""
    client.socket.setblocking(False)
    try:
        return not client.socket.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        return True


def resets(lab: Lab, sent_by: str) -> int:
    return len(lab.packets("tcp[tcpflags] & tcp-rst != 0", sent_by=sent_by))
