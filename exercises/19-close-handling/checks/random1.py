"""RANDOM/1 as the checks speak it, the stream that has to come, and the window on the wire."""

import os
from contextlib import suppress

from labctl.testing import WITHIN_S, Address, Lab, Program, Tcp, Unmet, expect, unmet, until

PORT = 8089
SERVER = ("10.0.1.1", PORT)
SERVER_FROM_CLIENT2 = ("10.0.2.1", PORT)
SMALL_BUFFER = 4096

ZERO_WINDOW = "tcp[14:2] == 0 and tcp[tcpflags] & (tcp-rst|tcp-syn|tcp-fin) == 0"

_PERIOD = 65521


def request(seed: int, length: int) -> bytes:
    return b"RANDOM %d %d\n" % (seed, length)


def stream(seed: int, length: int) -> bytes:
    """Return the bytes that belong to a seed, as README.md says."""
    table = bytearray()
    for _ in range(_PERIOD):
        seed = (seed * 1103515245 + 12345) % 2**31
        table.append((seed >> 16) % 256)
    return (bytes(table) * (length // _PERIOD + 1))[:length]


def expect_stream(got: bytes, wanted: bytes, hint: str) -> None:
    """Compare streams; say where the first wrong byte is, since all that follows is wrong as well."""
    if got == wanted:
        return
    pairs = zip(got, wanted, strict=False)
    at = next((n for n, (one, other) in enumerate(pairs) if one != other), None)
    if at is None:
        unmet(f"{len(wanted)} bytes of the stream", f"{len(got)}, all of them right", hint)
    unmet(
        f"from byte {at} of the stream on: {wanted[at : at + 8].hex(' ')} …",
        f"{got[at : at + 8].hex(' ')} …, and up to there all is right",
        hint,
    )


def fetch(client: Tcp, seed: int, length: int, hint: str) -> None:
    """Ask for a stream and compare it with the right one."""
    try:
        client.send(request(seed, length))
    except Unmet as error:
        unmet("the connection stays open for the next request", error.actual, hint)
    expect_rest(client, stream(seed, length), hint)


def expect_rest(client: Tcp, wanted: bytes, hint: str) -> None:
    """Receive what is still to come of a stream and compare it with the right one."""
    got = b""
    while len(got) < len(wanted):
        try:
            data = client.receive(len(wanted) - len(got), within_s=2 * WITHIN_S)
        except Unmet as error:
            expect_stream(got, wanted[: len(got)], hint)
            unmet(f"{len(wanted)} bytes", f"{error.actual} after {len(got)} right bytes", hint)
        if not data:
            expect_stream(got, wanted[: len(got)], hint)
            unmet(f"{len(wanted)} bytes", f"FIN after {len(got)} right bytes", hint)
        got += data
    expect_stream(got, wanted, hint)


def window_is_zero(lab: Lab, client: Tcp) -> bool:
    """Whether the client's kernel has told the server that it has no room."""
    address, port = client.address
    return bool(lab.packets(f"src host {address} and tcp src port {port} and {ZERO_WINDOW}"))


def stall(
    lab: Lab, seed: int, length: int, *, node: str = "client1", server: Address = SERVER
) -> Tcp:
    """Return a client who has asked for a stream and does not read it; the server cannot go on."""
    client = lab[node].connect(server, receive_buffer=SMALL_BUFFER)
    client.send(request(seed, length))
    expect(
        until(lambda: window_is_zero(lab, client), 2 * WITHIN_S),
        expected="the server sends until the client has no more room (zero window)",
        actual=f"{client.unread} bytes have come, and there is still room",
        hint="send the first bytes at once, and go on; make the stream piece by piece, as it is sent",
    )
    return client


def let_it_fill(lab: Lab, client: Tcp) -> None:
    """Wait until the server has sent what it can: its kernel has bytes that nobody takes."""
    port, before = client.address[1], 0

    def is_full() -> bool:
        nonlocal before
        queued = sum(s.send_q for s in lab["server"].sockets("tcp", port) if s.peer_port == port)
        has_settled, before = queued == before > 0, queued
        return has_settled

    until(is_full, WITHIN_S)


def state(lab: Lab, port: int) -> str:
    """Return the state of the server's end of a connection, such as ``CLOSE-WAIT``."""
    return next((s.state for s in lab["server"].sockets("tcp", PORT) if s.peer_port == port), "")


def nobody_has(lab: Lab, port: int) -> bool:
    """Whether no program in the server's node has that connection any more."""
    return not any(s.peer_port == port and s.inode for s in lab["server"].sockets("tcp", PORT))


def sockets_held(program: Program) -> int:
    """Return how many sockets the program's processes have open, connected or not."""
    count = 0
    for pid in program.pids():
        folder = f"/proc/{pid}/fd"
        for name in os.listdir(folder):
            with suppress(FileNotFoundError):  # closed meanwhile
                count += os.readlink(f"{folder}/{name}").startswith("socket:")
    return count
