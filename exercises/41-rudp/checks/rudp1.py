"""RUDP/1 as the checks speak it: either end, played by the check, and what is on the wire."""

import random
import struct
import zlib
from typing import NamedTuple

from labctl.testing import (
    WITHIN_S,
    Address,
    Lab,
    Program,
    Submission,
    Udp,
    Unmet,
    expect,
    expect_equal,
    unmet,
    until,
)

PORT = 7000
RECEIVER = ("10.0.0.2", PORT)
SYN, DATA, ACK, FIN = 1, 2, 3, 4
NAMES = {SYN: "SYN", DATA: "DATA", ACK: "ACK", FIN: "FIN"}
NUMBERS = 2**32

HEADER = struct.Struct("!cBHIIII")
UDP_PAYLOAD_AT = 42
REFUSAL = "icmp[icmptype] == icmp-unreach and icmp[icmpcode] == 3"

LAYOUT = "the table in README.md has every byte of a packet; numbers are big endian"
LATE = (
    "the receiver may be about to start: ECONNREFUSED, which recv() or send() of a connected socket "
    "reports once for each refusal, is silence; go on, and send SYN again when the clock says so"
)
CRC = "zlib.crc32 of the whole datagram, header and payload, with 0 in the place of crc"


class Packet(NamedTuple):
    type: int
    wnd: int
    conn: int
    seq: int
    ack: int
    payload: bytes


def pack(
    kind: int,
    conn: int,
    *,
    seq: int = 0,
    ack: int = 0,
    wnd: int = 0,
    payload: bytes = b"",
    damage: int = 0,
) -> bytes:
    fields = (b"R", kind, wnd, conn, seq % NUMBERS, ack % NUMBERS)
    crc = zlib.crc32(HEADER.pack(*fields, 0) + payload) ^ damage
    return HEADER.pack(*fields, crc) + payload


def read(datagram: bytes, what: str) -> Packet:
    """Take a packet of the program's apart. Raises ``Unmet`` where it is none."""
    expect(
        20 <= len(datagram) <= 1020,
        expected=f"{what}: 20 to 1020 bytes",
        actual=f"{len(datagram)} bytes",
        hint=LAYOUT,
    )
    magic, kind, wnd, conn, seq, ack, crc = HEADER.unpack_from(datagram)
    expect_equal(magic, b"R", f"magic of {what}", LAYOUT)
    right = zlib.crc32(datagram[:16] + bytes(4) + datagram[20:])
    expect_equal(f"{crc:08x}", f"{right:08x}", f"crc of {what}", CRC)
    return Packet(kind, wnd, conn, seq, ack, datagram[20:])


class Receiver:
    """The check plays the receiver: it has the program's SYN."""

    def __init__(
        self,
        lab: Lab,
        submission: Submission,
        content: bytes,
        *options: str,
        refuses_first: bool = False,
    ) -> None:
        """With ``refuses_first`` nobody has the port until that is known to the sender's node."""
        if not refuses_first:
            self.udp = lab["server"].udp(bind=("0.0.0.0", PORT))
        arguments = (*map(str, RECEIVER), *options)
        self.program = submission.start("client", "rudp_send", *arguments, ready=False)
        self.program.write(content)
        self.program.end_input()
        if refuses_first:
            refused = until(lambda: bool(lab.packets(REFUSAL, received_by="client")), 2 * WITHIN_S)
            expect(
                bool(refused),
                expected=f"SYN to the port {PORT}, where nobody listens yet",
                actual="no packet of the program was refused (ICMP port unreachable)",
                hint="a connection begins with SYN",
            )
            self.udp = lab["server"].udp(bind=("0.0.0.0", PORT))
        self.sender: Address = ("", 0)
        self.came: list[int] = []
        """The number of each packet that came after SYN, counted from it."""
        self.contents: dict[int, bytes] = {}
        self.fin = 0
        """The number of FIN, when it has come."""
        try:
            datagram, self.sender = self.udp.receive_from(
                expected="SYN", hint=LATE if refuses_first else "a connection begins with SYN"
            )
        except Unmet as error:
            if self.program.is_running():
                raise
            unmet(error.expected, f"the program {self.program.how_it_ended()}", error.hint)
        syn = read(datagram, "the first packet")
        expect_equal(syn.type, SYN, "type of the first packet", LAYOUT)
        expect_equal((syn.wnd, syn.ack, syn.payload), (0, 0, b""), "wnd, ack, payload", LAYOUT)
        self.conn, self.isn = syn.conn, syn.seq

    def ack(self, number: int, wnd: int, *, conn: int | None = None, damage: int = 0) -> None:
        """Say that all before this number are here, counted from SYN, which has 0."""
        packet = pack(
            ACK,
            self.conn if conn is None else conn,
            ack=self.isn + number,
            wnd=wnd,
            damage=damage,
        )
        self.udp.send(packet, to=self.sender)

    def next(self, hint: str, expected: str = "a packet") -> int:
        """Receive a packet; return its number, counted from SYN."""
        data, sender = self.udp.receive_from(expected=expected, hint=hint)
        packet = read(data, "a packet")
        expect_equal(sender, self.sender, "sender of the packet", "one socket for all of it")
        number = (packet.seq - self.isn) % NUMBERS
        expect_equal(packet.conn, self.conn, "conn, which stays the same", LAYOUT)
        if number == 0:
            expect_equal(packet.type, SYN, "type of a packet with the number of SYN", LAYOUT)
        else:
            kinds = (FIN,) if number == self.fin else (DATA, FIN)
            expect(
                packet.type in kinds and bool(packet.payload) == (packet.type == DATA),
                expected="DATA with a payload, or FIN without, its number the next after the last",
                actual=f"type {packet.type}, {len(packet.payload)} bytes, number {number}",
                hint=LAYOUT,
            )
            if packet.type == FIN:
                self.fin = number
            old = self.contents.setdefault(number, packet.payload)
            expect_equal(packet.payload, old, f"packet {number}, sent again", "a copy is a copy")
        self.came.append(number)
        return number

    def until_came(self, number: int, copies: int, hint: str) -> None:
        """Receive until this packet has come so often."""
        while self.came.count(number) < copies:
            self.next(hint, f"packet {number} after SYN, copy {copies}")

    def take_the_rest(self, hint: str, wnd: int = 8) -> bytes:
        """Acknowledge what comes in order, up to FIN; return what it was."""
        number = 1
        while not self.fin or number <= self.fin:
            while number in self.contents:
                number += 1
            self.ack(number, wnd)
            if self.fin and number > self.fin:
                break
            self.next(hint)
        hint = "FIN is acknowledged, so all has arrived: end with exit status 0"
        self.program.expect_exit(0, hint=hint)
        return b"".join(self.contents[number] for number in range(1, self.fin))


class Sender:
    """The check plays the sender."""

    def __init__(
        self, lab: Lab, submission: Submission, rng: random.Random, *options: str, isn: int = -1
    ) -> None:
        self.program = start_receiver(lab, submission, *options)
        self.udp: Udp = lab["client"].udp()
        self.conn = rng.randrange(NUMBERS)
        self.isn = rng.randrange(NUMBERS) if isn < 0 else isn

    def send(
        self,
        kind: int,
        number: int,
        payload: bytes = b"",
        *,
        conn: int | None = None,
        damage: int = 0,
        by: Udp | None = None,
    ) -> None:
        """Send a packet with this number, counted from SYN."""
        conn = self.conn if conn is None else conn
        packet = pack(kind, conn, seq=self.isn + number, payload=payload, damage=damage)
        (by or self.udp).send(packet, to=RECEIVER)

    def expect_ack(self, number: int, wnd: int, hint: str) -> None:
        """Receive an ACK which says that all before this number are there."""
        data = self.udp.receive(expected="an ACK", hint=hint)
        packet = read(data, "the answer")
        expect_equal(NAMES.get(packet.type), "ACK", "type of the answer", LAYOUT)
        expect_equal(packet.conn, self.conn, "conn, which is the sender's", LAYOUT)
        expect_equal((packet.seq, packet.payload), (0, b""), "seq and payload", LAYOUT)
        got = (packet.ack - self.isn) % NUMBERS
        expect_equal(got, number, "ack, counted from the number of SYN", hint)
        expect_equal(packet.wnd, wnd, "wnd, as -w says", LAYOUT)

    def finish(self, number: int, wnd: int) -> None:
        """Send FIN and wait for the end of the program."""
        self.send(FIN, number)
        self.expect_ack(number + 1, wnd, "FIN has a number, too")
        hint = "when FIN has come and nothing more for the time of -l: exit status 0"
        self.program.expect_exit(0, hint=hint)


def start_receiver(lab: Lab, submission: Submission, *options: str) -> Program:
    """Start the program and wait until its port is open; its stdout is the file."""
    program = submission.start("server", "rudp_recv", "0.0.0.0", str(PORT), *options, ready=False)
    until(
        lambda: bool(lab["server"].sockets("udp", PORT)) or not program.is_running(), 2 * WITHIN_S
    )
    if not lab["server"].sockets("udp", PORT):
        ended = "it does not" if program.is_running() else f"it {program.how_it_ended()}"
        unmet(f"the program binds the UDP port {PORT}", ended, "bind() before anything else")
    return program


def let_all_arrive(lab: Lab, sent_by: str, received_by: str) -> None:
    """Wait until all that a node has sent is at the other one."""
    match = f"udp port {PORT}"
    sent = len(lab.packets(match, sent_by=sent_by))
    until(lambda: len(lab.packets(match, received_by=received_by)) >= sent, WITHIN_S)


def on_the_wire(lab: Lab, sent_by: str, conn: int | None = None) -> list[tuple[float, Packet]]:
    """Return the packets that a node has sent so far, each with its time in seconds."""
    packets = [
        (s.time_ns / 1e9, read(s.frame[UDP_PAYLOAD_AT:], "a packet"))
        for s in lab.packets(f"udp port {PORT}", sent_by=sent_by)
    ]
    return [each for each in packets if conn in (None, each[1].conn)]


def expect_written(program: Program, content: bytes, hint: str) -> None:
    """Wait until the program has written all of it, and nothing else."""
    until(lambda: len(program.stdout) >= len(content), WITHIN_S)
    got = program.stdout
    if got == content:
        return
    same = next((at for at, (a, b) in enumerate(zip(got, content, strict=False)) if a != b), None)
    at = min(len(got), len(content)) if same is None else same
    unmet(
        f"stdout: the {len(content)} bytes that were sent",
        f"{len(got)} bytes, the same up to byte {at}",
        hint,
    )
