"""The other end of the programs, as the checks play it, and what is held in the server's node."""

import struct

from labctl.testing import WITHIN_S, Lab, Tcp, expect, expect_equal, until

PORT = 9999
SERVER = ("10.0.0.2", PORT)
HELLO, DATA, ACK, ERROR, HEARTBEAT, GOODBYE = range(1, 7)
NAMES = {1: "HELLO", 2: "DATA", 3: "ACK", 4: "ERROR", 5: "HEARTBEAT", 6: "GOODBYE"}

HEADER = struct.Struct("!BBHIIIQ")


def frame(kind: int, seq: int, payload: bytes = b"", *, wrong_by: int = 0) -> bytes:
    unsummed = HEADER.pack(1, kind, 0, seq, len(payload), 0, 0) + payload
    return HEADER.pack(1, kind, 0, seq, len(payload), sum(unsummed) + wrong_by, 0) + payload


def expect_frame(connection: Tcp, kind: int, seq: int, payload: bytes, hint: str) -> None:
    """Receive a frame of the program and compare what matters with what is right."""
    what = f"{NAMES[kind]} with seq {seq}"
    data = connection.receive_exactly(HEADER.size, expected=f"the header of {what}", hint=hint)
    version, got, _flags, got_seq, length, total, _ts = HEADER.unpack(data)
    expect_equal((version, got, got_seq), (1, kind, seq), f"version, type, seq of {what}", hint)
    expect_equal(length, len(payload), f"len of {what}", hint)
    content = connection.receive_exactly(length, expected=f"the payload of {what}", hint=hint)
    expect_equal(content, payload, f"payload of {what}", hint)
    right = sum(data) - sum(data[12:16]) + sum(content)
    expect_equal(total, right, f"sum of {what}", hint)


def beat(connection: Tcp, seq: int, hint: str) -> None:
    """Send HEARTBEAT, which has no payload, and wait for the answer."""
    connection.send(frame(HEARTBEAT, seq), hint=hint)
    expect_frame(connection, HEARTBEAT, seq, b"", hint)


def welcomed(lab: Lab, hint: str = "accept whoever comes", *, port: int = PORT) -> Tcp:
    """Return a connection that the server answers. No payload: sums are judged elsewhere."""
    connection = lab["client"].connect((SERVER[0], port), hint=hint)
    beat(connection, 1, hint)
    return connection


def held(lab: Lab, port: int = PORT) -> list[int]:
    """Return the peers' ports of the connections for which the server has a descriptor."""
    return [s.peer_port for s in lab["server"].sockets("tcp", port) if s.inode and s.peer_port]


def expect_closed(lab: Lab, port: int, hint: str) -> None:
    expect(
        until(lambda: port not in held(lab), WITHIN_S),
        expected="the server has closed the descriptor of that connection",
        actual=f"{WITHIN_S:g} s later it is open (`ls -l /proc/PID/fd`)",
        hint=hint,
    )


def let_it_be_received(lab: Lab, connection: Tcp) -> None:
    """Wait until the server's program has taken what was sent; a busy one is not waited for."""
    until(lambda: connection.unacknowledged == 0, WITHIN_S)
    port = connection.address[1]
    until(lambda: all(s.recv_q == 0 for s in lab["server"].sockets("tcp", port)), 1.0)
