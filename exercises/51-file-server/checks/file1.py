"""FILE/1 between the check and a program: files put where it serves them, clients that stall."""

import os
from pathlib import Path

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Tcp,
    Unmet,
    expect_equal,
    machine_error,
    unmet,
    until,
)

PORT = 8082
SERVER = ("10.0.1.1", PORT)
CLIENT1 = "10.0.1.2"
SERVER_FROM_CLIENT2 = ("10.0.2.1", PORT)
SMALL_BUFFER = 4096

ZERO_WINDOW = "tcp[14:2] == 0 and tcp[tcpflags] & (tcp-rst|tcp-syn|tcp-fin) == 0"


def path(program: Program, name: str) -> Path:
    """Return where the check finds a file of the directory that the program runs in."""
    pids = program.pids()
    if not pids:
        unmet("the server runs", f"it {program.how_it_ended()}")
    return Path(f"/proc/{pids[0]}/cwd", name)


def put(program: Program, name: str, data: bytes) -> None:
    """Have a file in the directory that the program serves."""
    file = path(program, name)
    file.write_bytes(data)
    file.chmod(0o644)


def overwrite(program: Program, name: str, data: bytes) -> None:
    """Write other bytes into the file that is there: the same file, the same pages."""
    with path(program, name).open("r+b", buffering=0) as file:
        file.write(data)


def fetch(client: Tcp, name: str, wanted: bytes, hint: str) -> None:
    """Ask for a file and compare what comes with the right bytes."""
    try:
        client.send(b"GET %b\n" % name.encode())
    except Unmet as error:
        unmet("the connection stays open for the next request", error.actual, hint)
    expect_size(client, name, len(wanted), hint)
    expect_rest(client, wanted, hint)


def expect_size(client: Tcp, name: str, size: int, hint: str) -> None:
    line = client.line(expected=f'the size of "{name}"', hint=hint, within_s=2 * WITHIN_S)
    expect_equal(line, b"%d" % size, f'the line before the bytes of "{name}"', hint)


def expect_rest(client: Tcp, wanted: bytes, hint: str) -> None:
    """Receive what is still to come and compare it; say where the first wrong byte is."""
    got = bytearray()
    while len(got) < len(wanted):
        try:
            data = client.receive(len(wanted) - len(got), within_s=2 * WITHIN_S)
        except Unmet as error:
            unmet(f"{len(wanted)} bytes of the file", f"{error.actual} after {len(got)}", hint)
        if not data:
            unmet(f"{len(wanted)} bytes of the file", f"FIN after {len(got)}", hint)
        got += data
    if got != wanted:
        at = next(n for n, (one, other) in enumerate(zip(got, wanted, strict=True)) if one != other)
        unmet(
            f"from byte {at} of the file on: {wanted[at : at + 8].hex(' ')} …",
            f"{got[at : at + 8].hex(' ')} …, and up to there all is right",
            hint,
        )


def small_buffers(lab: Lab) -> None:
    """Let a socket of the server hold a small part of a large file only, whatever it sends."""
    lab["server"].set("net.ipv4.tcp_wmem", "4096 16384 65536")


def send_nothing_by_the_clock(lab: Lab) -> None:
    """Have the server's kernel send what its program has sent, when it has, and nothing again.

    After 0.2 s it would send a line that waits for the file, and what is not acknowledged by then.
    """
    lab["server"].set("net.ipv4.tcp_early_retrans", "0")
    words = ("ip", "route", "add", CLIENT1, "dev", "veth_srv_c1", "rto_min", "60s")
    ended = lab["server"].run(*words)
    if ended.exit_status:
        raise machine_error(f"{' '.join(words)}: {ended.stderr.decode()}", where="check")


def stall(lab: Lab, name: str, size: int) -> Tcp:
    """Return a client who has asked for a file and reads only its size; the server cannot go on."""
    client = lab["client1"].connect(SERVER, receive_buffer=SMALL_BUFFER)
    client.send(b"GET %b\n" % name.encode())
    match = f"tcp src port {client.address[1]} and {ZERO_WINDOW}"
    if not until(lambda: bool(lab.packets(match, sent_by="client1")), 2 * WITHIN_S):
        unmet(
            "the server sends until the client has no more room (zero window)",
            f"{client.unread} bytes have come, and there is still room",
            "send the size and then the file at once",
        )
    expect_size(client, name, size, "the size that fstat() tells, in decimal, and LF")
    return client


def has_been_read(lab: Lab, client: Tcp) -> bool:
    """Whether the server's program has taken in all that the client has sent."""
    if client.unacknowledged:
        return False
    port = client.address[1]
    return not any(s.recv_q for s in lab["server"].sockets("tcp", port) if s.peer_port == port)


def open_files(program: Program) -> int:
    """Return how many descriptors the program's processes have."""
    count = 0
    for pid in program.pids():
        try:
            count += len(os.listdir(f"/proc/{pid}/fd"))
        except FileNotFoundError:
            continue  # it has ended since
    return count
