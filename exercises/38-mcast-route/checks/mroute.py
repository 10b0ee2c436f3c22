"""A multicast router for the lab: it forwards what the receiver's reports ask for, and nothing else."""

import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from labctl.testing import WITHIN_S, Lab, Udp, machine_error, unmet, until

GROUP = "232.1.1.1"
OTHER = "232.1.1.2"
PORT = 5001
SOURCES = {"source1": "10.0.1.2", "source2": "10.0.2.2"}
INTERFACES = ("source1", "source2", "receiver")
"""Of the router, by the number that each gets as a virtual interface."""

IS_INCLUDE, IS_EXCLUDE, TO_INCLUDE, TO_EXCLUDE, ALLOW, BLOCK = range(1, 7)
"""Kinds of records in an IGMPv3 report (RFC 3376, 4.2.12)."""

# From <linux/mroute.h>.
_MRT_INIT, _MRT_ADD_VIF, _MRT_ADD_MFC = 200, 202, 204
_VIFF_USE_IFINDEX = 8
_MAXVIFS = 32


class Record(NamedTuple):
    """One group record of an IGMPv3 report."""

    kind: int
    group: str
    sources: tuple[str, ...]


class Router:
    """The daemon of the router: tables in the kernel, made by what the receiver has reported."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        router = lab["router"]
        self._socket = router.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
        self._set(_MRT_INIT, struct.pack("@i", 1))
        said = router.run("sh", "-c", "cd /sys/class/net && grep . */ifindex").stdout.decode()
        indices = dict(line.split("/ifindex:") for line in said.split())
        for number, name in enumerate(INTERFACES):
            body = (number, _VIFF_USE_IFINDEX, 1, 0, int(indices[name]), bytes(4))
            self._set(_MRT_ADD_VIF, struct.pack("@HBBIi4s", *body))

    def reported(self) -> list[Record]:
        """Return what the receiver's kernel has reported so far."""
        return [
            record
            for sighting in self._lab.packets("igmp", sent_by="receiver")
            for record in _records(sighting.frame[14:])
        ]

    def expect_report(self, wanted: Record, what: str, hint: str) -> None:
        if not until(lambda: wanted in self.reported(), WITHIN_S):
            seen = [tuple(record) for record in self.reported() if record.group == wanted.group]
            unmet(f"an IGMPv3 report: {what}", f"reports of the group: {seen or 'none'}", hint)

    def wants(self, node: str, hint: str) -> set[str]:
        """Wait until the reports ask for a source; return all that they ask for."""
        if not until(lambda: node in self._asked_for(GROUP), WITHIN_S):
            unmet(f"the receiver reports that it wants {GROUP} from {node}", "it does not", hint)
        return self._asked_for(GROUP)

    def follow(self, *wanted: str, group: str = GROUP, hint: str = "") -> None:
        """Wait until the reports ask for these sources and no others, and then forward them."""
        if not until(lambda: self._asked_for(group) == set(wanted), WITHIN_S):
            unmet(
                f"the receiver's reports ask for {group} from {_list(wanted)}",
                f"they ask for {_list(self._asked_for(group))}",
                hint,
            )
        for number, node in enumerate(INTERFACES[:2]):
            source = SOURCES[node]
            ttls = [0] * _MAXVIFS
            ttls[INTERFACES.index("receiver")] = 1
            entry = struct.pack(
                f"@4s4sH{_MAXVIFS}B2xIIIi",
                socket.inet_aton(source),
                socket.inet_aton(group),
                number,
                *(ttls if node in wanted else [0] * _MAXVIFS),
                *(0, 0, 0, 0),
            )
            self._set(_MRT_ADD_MFC, entry)

    def _asked_for(self, group: str) -> set[str]:
        """Return the sources that the receiver wants to hear, by the rules of RFC 3376, 6.4."""
        includes, named = True, set[str]()
        for kind, of, sources in self.reported():
            if of != group:
                continue
            if kind in (IS_INCLUDE, TO_INCLUDE, IS_EXCLUDE, TO_EXCLUDE):
                includes, named = kind in (IS_INCLUDE, TO_INCLUDE), set(sources)
            elif (kind == ALLOW) == includes:
                named |= set(sources)
            else:
                named -= set(sources)
        return {node for node, address in SOURCES.items() if (address in named) == includes}

    def _set(self, option: int, value: bytes) -> None:
        self._socket.setsockopt(socket.IPPROTO_IP, option, value)


def source(lab: Lab, node: str, ttl: int = 5) -> Udp:
    """Return a socket of a source."""
    udp = lab[node].udp(bind=(SOURCES[node], 0))
    udp.socket.setsockopt(
        socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(SOURCES[node])
    )
    udp.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
    return udp


def member_for_all(lab: Lab, group: str = GROUP) -> None:
    """Have another program of the receiver's host join the group from every source."""
    sock = lab["receiver"].socket(socket.AF_INET, socket.SOCK_DGRAM)
    interface = socket.inet_aton(lab["receiver"].address)
    sock.setsockopt(
        socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + interface
    )


def expect_forwarded(lab: Lab, node: str, count: int) -> None:
    """Wait until the receiver's host has so many datagrams of a source."""
    expect_arrived(lab, f"src host {SOURCES[node]} and udp port {PORT}", count)


def expect_arrived(lab: Lab, match: str, count: int) -> None:
    """Wait until the receiver's host has so many such frames: what is sent now cannot overtake them."""
    if not until(lambda: len(lab.packets(match, received_by="receiver")) >= count, WITHIN_S):
        raise machine_error("what was sent to the receiver does not arrive", where="check")


def _list(nodes: tuple[str, ...] | set[str]) -> str:
    return " and ".join(sorted(nodes)) or "nobody"


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
