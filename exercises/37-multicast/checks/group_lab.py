"""Groups in the lab: what is sent to them, what is heard, and what IGMP says about them."""

import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Submission,
    Udp,
    expect,
    unmet,
    until,
)

PORT = 5001
GROUP = "239.1.2.3"
OTHER = "239.1.2.4"
THIRD = "239.7.7.7"

TO_INCLUDE = 3
TO_EXCLUDE = 4
"""Kinds of records (RFC 3376, 4.2.12): "I hear no source any more", "I hear all but none"."""


def sender(lab: Lab, node: str, ttl: int = 1) -> Udp:
    """Return a socket that sends to groups by the node's only interface."""
    udp = lab[node].udp(bind=(lab[node].address, 0))
    udp.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, _aton(lab[node].address))
    udp.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
    return udp


def member(lab: Lab, node: str, *groups: str, port: int = PORT) -> Udp:
    """Return a socket of the check's own that has joined groups."""
    sock = lab[node].socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("0.0.0.0", port))
    for group in groups:
        sock.setsockopt(
            socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, _aton(group) + _aton(lab[node].address)
        )
    return Udp(sock)


def listener(lab: Lab, submission: Submission, *groups: str) -> Program:
    """Start the program on bob and have it join groups."""
    program = submission.start("bob", "group_listener", lab["bob"].address, str(PORT))
    for group in groups:
        join(program, group)
    return program


def join(program: Program, group: str) -> None:
    expect_answer(
        program,
        f"join {group}",
        f"joined {group}",
        "IP_ADD_MEMBERSHIP with the group and the address of the interface",
    )


def expect_answer(program: Program, command: str, wanted: str, hint: str) -> None:
    said = program.ask(command, hint=hint)
    expect(said == wanted, expected=f'"{wanted}" for "{command}"', actual=f'"{said}"', hint=hint)


def expect_heard(
    program: Program,
    text: str,
    hint: str,
    *,
    sent_by: Udp | None = None,
    to: str = "",
    ttl: int = 0,
) -> None:
    """Compare the next line with the one for this datagram, as far as it is asked for."""
    begin = f"from={sent_by.address[0]}:{sent_by.address[1]} to={to} ttl={ttl}" if sent_by else ""
    wanted = f"{begin or 'from=… to=… ttl=…'} {text}"
    said = program.line(expected=wanted, hint=hint)
    expect(
        said.startswith(begin) and said.endswith(f" {text}"),
        expected=wanted,
        actual=said,
        hint=hint,
    )


class Record(NamedTuple):
    """One group record of an IGMPv3 report."""

    kind: int
    group: str
    sources: tuple[str, ...]


def reported(lab: Lab, node: str) -> list[Record]:
    """Return what a node's kernel has reported so far."""
    return [
        record
        for sighting in lab.packets("igmp", sent_by=node)
        for record in _records(sighting.frame[14:])
    ]


def expect_report(lab: Lab, node: str, wanted: Record, what: str, hint: str) -> None:
    if not until(lambda: wanted in reported(lab, node), WITHIN_S):
        seen = [record for record in reported(lab, node) if record.group == wanted.group]
        unmet(f"an IGMP report in which {node} {what}", f"reports of the group: {seen}", hint)


def _records(packet: bytes) -> Iterator[Record]:
    """Yield the records of a report; nothing for other IGMP messages."""
    message = packet[4 * (packet[0] & 15) :]
    if message[0] != 0x22:
        return
    (count,) = struct.unpack_from("!H", message, 6)
    at = 8
    for _ in range(count):
        kind, auxiliary, sources = struct.unpack_from("!BBH", message, at)
        addresses = [message[i : i + 4] for i in range(at + 4, at + 8 + 4 * sources, 4)]
        group, *others = map(socket.inet_ntoa, addresses)
        yield Record(kind, group, tuple(others))
        at += 8 + 4 * (sources + auxiliary)


def _aton(address: str) -> bytes:
    return socket.inet_aton(address)
