"""TFTP as the checks speak it: the files that the server has, and a client that does as it is told."""

import os
import stat
import struct
from contextlib import suppress

from labctl.testing import (
    WITHIN_S,
    Address,
    Lab,
    Program,
    Submission,
    Udp,
    expect,
    expect_equal,
    unmet,
    until,
)

PORT = 6969
SERVERS = {"client1": ("10.0.1.1", PORT), "client2": ("10.0.2.1", PORT)}
"""The server's address, as each client knows it."""

RRQ, WRQ, DATA, ACK, ERROR = range(1, 6)
NAMES = {RRQ: "RRQ", WRQ: "WRQ", DATA: "DATA", ACK: "ACK", ERROR: "ERROR"}

PATIENT_MS = "60000"
"""For a server that is to send nothing again while the check looks."""

SIZES = (0, 1, 511, 512, 513, 1024, 1300, 5000)
"""Of the files that the server has, each named after its size."""

CONTENT = b"".join(b"%07d\n" % number for number in range(1, 700))
"""What the files begin with; no two blocks are the same."""

_AS_IT_IS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

# What `seq` prints is CONTENT. The program is started with these files in a folder below its own,
# and with two beside that folder, which are nobody's business, whatever their names.
_FILES = f"""
mkdir files files2 && seq -f %07.0f 1 700 >all || exit 1
for size in {" ".join(map(str, SIZES))}; do head -c $size all >files/$size; done
echo secret >outside
echo secret >files2/secret
echo "$PWD/files"
exec "$@"
"""


def start(submission: Submission, wait_ms: str = PATIENT_MS) -> Program:
    arguments = ("-r", "files", "-t", wait_ms, "0.0.0.0", str(PORT))
    through = ("sh", "-c", _FILES, "sh")
    return submission.start("server", "tftpd", *arguments, through=through)


def block(operation: int, number: int, content: bytes = b"") -> bytes:
    return struct.pack("!HH", operation, number) + content


def request(operation: int, name: str, mode: str = "octet", more: bytes = b"") -> bytes:
    return struct.pack("!H", operation) + f"{name}\0{mode}\0".encode() + more


def described(packet: bytes) -> str:
    """Return what a packet is, in the words of the RFC."""
    if len(packet) < 4 or packet[0] or packet[1] not in NAMES:
        return f"{len(packet)} bytes that are no packet of TFTP: {packet[:20]!r}"
    operation, number = struct.unpack_from("!HH", packet)
    more = f" with {len(packet) - 4} bytes" if operation == DATA else ""
    return f"{NAMES[operation]} {number}{more}"


class Client:
    """One end of a transfer. Its socket is not connected, so it hears whoever sends to it."""

    def __init__(self, lab: Lab, node: str = "client1") -> None:
        self.udp: Udp = lab[node].udp()
        self.server: Address = SERVERS[node]
        self.tid: Address | None = None
        """Where the server's first answer came from."""

    @property
    def tid_port(self) -> int:
        assert self.tid is not None, "the server has not answered yet"
        return self.tid[1]

    def ask(self, operation: int, name: str, mode: str = "octet", more: bytes = b"") -> None:
        self.udp.send(request(operation, name, mode, more), self.server)

    def send(self, operation: int, number: int, content: bytes = b"") -> None:
        assert self.tid is not None
        self.udp.send(block(operation, number, content), self.tid)

    def receive(self, expected: str, hint: str) -> bytes:
        packet, sender = self.udp.receive_from(expected=expected, hint=hint)
        if self.tid is None:
            self.tid = sender
        expect_equal(
            f"{sender[0]}:{sender[1]}",
            f"{self.tid[0]}:{self.tid[1]}",
            f"sender of {described(packet)}",
            "one socket for one transfer, from its first packet to its last",
        )
        return packet

    def expect_block(self, operation: int, number: int, content: bytes, hint: str) -> None:
        """Receive a packet and compare it with the right one."""
        wanted = block(operation, number, content)
        packet = self.receive(described(wanted), hint)
        if packet != wanted:
            what = described(packet)
            if what == described(wanted):
                what += ", and not the bytes that belong there"
            unmet(described(wanted), what, hint)

    def expect_error(self, code: int, what: str, hint: str) -> None:
        packet = self.receive(f"ERROR {code} for {what}", hint)
        expect(
            len(packet) >= 5
            and struct.unpack_from("!HH", packet) == (ERROR, code)
            and packet.endswith(b"\0"),
            expected=f"ERROR {code} for {what}, with a text that ends with a byte 0",
            actual=f"{described(packet)}: {packet[:40]!r}",
            hint=hint,
        )

    def get(self, name: str, content: bytes, hint: str, more: bytes = b"") -> None:
        """Read a file to its end; each block has to come as it should."""
        self.ask(RRQ, name, more=more)
        for number in range(1, len(content) // 512 + 2):
            self.expect_block(DATA, number, content[number * 512 - 512 : number * 512], hint)
            self.send(ACK, number)

    def put(self, name: str, content: bytes, hint: str) -> None:
        """Write a file to its end; each block has to be acknowledged."""
        self.ask(WRQ, name)
        self.expect_block(ACK, 0, b"", hint)
        for number in range(1, len(content) // 512 + 2):
            self.send(DATA, number, content[number * 512 - 512 : number * 512])
            self.expect_block(ACK, number, b"", hint)


def expect_file(program: Program, name: str, content: bytes, hint: str) -> None:
    """Look at a file that the server was to write; not by RRQ, since it may serve one client only."""
    folder = program.stdout.split(b"\n", 1)[0].decode()

    def as_it_is() -> bytes | None:
        for pid in program.pids()[:1]:  # it is seen through the program's own root
            with suppress(OSError):  # not there yet
                # What is there may be anything: a link out of the sandbox, or a FIFO.
                fd = os.open(f"/proc/{pid}/root{folder}/{name}", _AS_IT_IS)
                with os.fdopen(fd, "rb") as file:
                    if stat.S_ISREG(os.fstat(fd).st_mode):
                        return file.read(len(content) + 1)
        return None

    if until(lambda: as_it_is() == content, WITHIN_S):
        return
    got = as_it_is()
    unmet(
        f"the file {name} has the {len(content)} bytes that were sent",
        "there is no such file" if got is None else _compared(got, content),
        hint,
    )


def _compared(got: bytes, content: bytes) -> str:
    if len(got) == len(content):
        return "it has as many, and not the same ones"
    return "it has more" if len(got) > len(content) else f"it has {len(got)}"


def has_closed(lab: Lab, client: Client) -> bool:
    """Wait until the server has no socket with the client's transfer any more."""
    return bool(until(lambda: not lab["server"].sockets("udp", client.tid_port), WITHIN_S))


def sent(lab: Lab, client: Client, operation: int, number: int) -> int:
    """Return how many of these the server has sent to a client so far."""
    port = client.udp.address[1]
    match = f"udp dst port {port} and udp[8:2] == {operation} and udp[10:2] == {number}"
    return len(lab.packets(match, sent_by="server"))
