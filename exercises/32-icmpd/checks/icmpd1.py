"""The protocol of icmpd as the checks speak it, from both ends, and ICMP errors of their own."""

import errno
import os
import socket
import struct
from typing import NamedTuple

from labctl.testing import WITHIN_S, Lab, expect_equal, unmet

NAME = "icmpd"

VERDICT = struct.Struct("!I")
REPORT = struct.Struct("!IBBH4s")

UDP = 17

_GAVE = "answer each message that has a socket with an errno, u32: 0 if you take it"


class Report(NamedTuple):
    """An error about one datagram."""

    errno: int
    kind: int
    code: int
    port: int
    address: str

    def __str__(self) -> str:
        name = errno.errorcode.get(self.errno, str(self.errno))
        return f"{name} type={self.kind} code={self.code} dest={self.address}:{self.port}"

    def packed(self) -> bytes:
        return REPORT.pack(*self[:4], socket.inet_aton(self.address))


def refused(address: str, port: int) -> Report:
    return Report(errno.ECONNREFUSED, 3, 3, port, address)


class Client:
    """A client of the daemon in client1: its connection, and the UDP socket that it gives."""

    def __init__(self, lab: Lab, *, bind: str = "0.0.0.0", port: int = 0) -> None:
        self.udp = lab["client1"].socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((bind, port))
        self.port = int(self.udp.getsockname()[1])
        self.connection = connect(lab)

    def register(self) -> None:
        """Give the socket; it has to be taken."""
        expect_equal(
            give(self.connection, self.udp.fileno()), 0, "verdict about a bound UDP socket", _GAVE
        )

    def send(self, address: str, port: int) -> None:
        self.udp.sendto(b"probe", (address, port))

    def expect_report(self, wanted: Report, hint: str) -> None:
        """Wait for the next report and compare it."""
        expect_equal(str(self.report(str(wanted), hint)), str(wanted), "report", hint)

    def expect_reports(self, wanted: list[Report], hint: str) -> None:
        """Wait for so many reports and compare them; errors from different hosts have no order."""
        came = [self.report(" or ".join(map(str, wanted)), hint) for _ in wanted]
        expect_equal(sorted(map(str, came)), sorted(map(str, wanted)), "reports", hint)

    def report(self, wanted: str, hint: str) -> Report:
        """Return the next report."""
        self.connection.settimeout(WITHIN_S)
        try:
            message = self.connection.recv(65536)
        except TimeoutError:
            unmet(f"a report {wanted} within {WITHIN_S:g} s", "nothing came", hint)
        except ConnectionResetError:
            message = b""
        if len(message) != REPORT.size:
            actual = f"{len(message)} bytes" if message else "the connection was closed"
            unmet(f"a report {wanted}, 12 bytes", actual, "the table in README.md has every byte")
        number, kind, code, port, address = REPORT.unpack(message)
        return Report(number, kind, code, port, socket.inet_ntoa(address))


def connect(lab: Lab) -> socket.socket:
    """Return a connection to the daemon in client1."""
    connection = lab["client1"].socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(WITHIN_S)
    try:
        connection.connect(f"\0{NAME}")
    except OSError as error:
        unmet(
            f'the abstract unix socket "{NAME}" (SOCK_SEQPACKET) takes connections',
            f"connect: {errno.errorcode.get(error.errno or 0, str(error))}",
            "a name that begins with a zero byte; listen() before READY is printed",
        )
    return connection


def give(connection: socket.socket, *fds: int) -> int:
    """Send descriptors and return the verdict."""
    try:
        socket.send_fds(connection, [b"\0"], list(fds))
        connection.settimeout(WITHIN_S)
        verdict = connection.recv(65536)
    except TimeoutError:
        unmet(f"a verdict within {WITHIN_S:g} s", "nothing came", _GAVE)
    except (BrokenPipeError, ConnectionResetError):
        verdict = b""
    if len(verdict) != VERDICT.size:
        actual = f"{len(verdict)} bytes" if verdict else "the connection was closed"
        unmet("a verdict of 4 bytes", actual, _GAVE)
    return int(VERDICT.unpack(verdict)[0])


def quotation(
    source: str,
    source_port: int,
    destination: str,
    port: int,
    *,
    protocol: int = UDP,
    options: bytes = b"",
) -> bytes:
    """Return the beginning of a packet, as an error quotes it."""
    words = (20 + len(options)) // 4
    header = struct.pack(
        "!BBHHHBBH4s4s",
        0x40 | words,
        0,
        len(options) + 33,
        1,
        0,
        63,
        protocol,
        0,
        socket.inet_aton(source),
        socket.inet_aton(destination),
    )
    return header + options + struct.pack("!HHHH", source_port, port, 13, 0)


class Router:
    """The server, as the sender of ICMP errors that the check wants."""

    def __init__(self, lab: Lab) -> None:
        self.socket = lab["server"].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)

    def send(self, kind: int, code: int, quoted: bytes) -> None:
        message = struct.pack("!BBHI", kind, code, 0, 0) + quoted
        total = sum(int(word) for (word,) in struct.iter_unpack("!H", message.ljust(100, b"\0")))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        message = struct.pack("!BBHI", kind, code, ~total & 0xFFFF, 0) + quoted
        self.socket.sendto(message, ("10.0.1.2", 0))


class Daemon:
    """The check in place of icmpd, for one client."""

    def __init__(self, lab: Lab) -> None:
        self.listener = lab["client1"].socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(f"\0{NAME}")
        self.listener.listen()
        self.listener.settimeout(WITHIN_S)

    def accept(self) -> tuple[socket.socket, socket.socket]:
        """Return the connection of the program, and the socket that it gives."""
        hint = "connect to the abstract unix socket, then sendmsg() with SCM_RIGHTS and one byte"
        expected = "the program connects and gives a socket"
        try:
            connection, _ = self.listener.accept()
            connection.settimeout(WITHIN_S)
            message, fds, _, _ = socket.recv_fds(connection, 64, 8)
        except TimeoutError:
            unmet(f"{expected} within {WITHIN_S:g} s", "it does not", hint)
        for fd in fds[1:]:
            os.close(fd)
        if len(fds) != 1 or not message:
            for fd in fds[:1]:
                os.close(fd)
            unmet(expected, f"{len(message)} bytes with {len(fds)} descriptors come", hint)
        return connection, socket.socket(fileno=fds[0])
