"""Who is plugged into what: the two ends of each link, and the segments that links form."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from labctl.topology.link_impair import read_impair
from labctl.topology.model import BRIDGE_INTERFACE
from labctl.topology.problems import Loc, Problems
from labctl.topology.schema import LinkShape, NodeShape
from labctl.topology.units import whole_number
from labctl.topology.words import quoted, suggestion

_LONGEST_INTERFACE = 15  # IFNAMSIZ of the kernel, less the final zero
_RESERVED = ("lo", ".", "..", "all", "default")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}")
_MULTICAST_BIT = 1
_SMALLEST_MTU = 68  # RFC 791
_SMALLEST_MTU_IPV6 = 1280  # RFC 8200
_LARGEST_MTU = 65535


class End(NamedTuple):
    """One end of a link that is understood."""

    node: str
    interface: str
    is_bridge: bool


class Wire(NamedTuple):
    """A link whose two ends are understood."""

    number: int
    """Its place in the file's list of links."""
    ends: tuple[End, End]
    segment: int
    """Links that bridges join have the same number."""
    shape: LinkShape
    mtu: int
    macs: tuple[str, str]
    impair: tuple[str, str]
    """What becomes of the packets that each end sends."""


class _Half(NamedTuple):
    node: str
    interface: str


def wire_up(
    nodes: dict[str, NodeShape], links: Iterable[tuple[int, LinkShape]], problems: Problems
) -> tuple[list[Wire], set[str]]:
    """Return the links whose ends are understood, and the nodes that lost one to a problem."""
    halves: list[tuple[int, LinkShape, tuple[_Half, _Half]]] = []
    maimed: set[str] = set()
    for index, link in links:
        pair = [
            _half(text, ("links", index, "endpoints", side), nodes, problems)
            for side, text in enumerate(link.endpoints)
        ]
        left, right = pair
        if left is None or right is None:
            maimed.update(half.node for half in pair if half is not None)
        elif left.node == right.node:
            problems.add(
                ("links", index, "endpoints"),
                f"both ends of link {index + 1} are at node {quoted(left.node)}",
                "a link joins two nodes; name the other one",
            )
            maimed.add(left.node)
        else:
            halves.append((index, link, (left, right)))
    named = _name_interfaces(halves, nodes, problems)
    segments = _segments(named, nodes)
    macs = _Macs(problems)
    wires = [
        Wire(
            index,
            ends,
            segments[index],
            link,
            _mtu(index, link, problems),
            (macs.understood(index, 0, link.mac[0]), macs.understood(index, 1, link.mac[1])),
            _impair(index, link, ends, problems),
        )
        for index, link, ends in named
    ]
    return wires, maimed


def _half(text: str, loc: Loc, nodes: dict[str, NodeShape], problems: Problems) -> _Half | None:
    node, colon, interface = text.partition(":")
    if node not in nodes:
        problems.add(
            loc,
            f"{quoted(text)} names a node that does not exist"
            if colon
            else f"there is no node {quoted(node)}",
            suggestion(node, nodes, kind="the nodes are"),
        )
        return None
    if colon and (wrong := _interface_fault(interface, nodes[node].kind == "bridge")):
        problems.add(
            loc, f"{quoted(text)}: {wrong}", "leave the interface out to have eth0, eth1, ..."
        )
        return None
    return _Half(node, interface)


def _interface_fault(name: str, at_bridge: bool) -> str:
    if not name:
        return "the name of the interface is missing"
    if len(name.encode()) > _LONGEST_INTERFACE:
        length = len(name.encode())
        return f"an interface name has at most {_LONGEST_INTERFACE} bytes, this one {length}"
    if not name.isprintable() or any(letter.isspace() or letter in "/:%" for letter in name):
        return "an interface name has no spaces and none of / : %"
    if name in _RESERVED:
        return f"the kernel keeps the interface name {quoted(name)} for itself"
    if at_bridge and name == BRIDGE_INTERFACE:
        return f"{quoted(name)} is the bridge itself; its links need other names"
    return ""


def _name_interfaces(
    links: list[tuple[int, LinkShape, tuple[_Half, _Half]]],
    nodes: dict[str, NodeShape],
    problems: Problems,
) -> list[tuple[int, LinkShape, tuple[End, End]]]:
    """Give eth0, eth1, ... to the ends without a name, past the names that are taken."""
    taken: dict[str, dict[str, int]] = {name: {} for name in nodes}
    for index, _, halves in links:
        for side, half in enumerate(halves):
            names = taken[half.node]
            loc = ("links", index, "endpoints", side)
            if half.interface in names:
                problems.add(
                    loc,
                    f"node {quoted(half.node)} has a second interface "
                    f"{quoted(half.interface)}; the first is in line {names[half.interface]}",
                    "give each link of a node another interface name",
                )
            elif half.interface:
                names[half.interface] = problems.line(loc)
    following = dict.fromkeys(nodes, 0)

    def named(half: _Half) -> End:
        interface = half.interface
        while not interface:
            candidate = f"eth{following[half.node]}"
            following[half.node] += 1
            if candidate not in taken[half.node]:
                interface = candidate
        return End(half.node, interface, nodes[half.node].kind == "bridge")

    return [(index, link, (named(left), named(right))) for index, link, (left, right) in links]


def _segments(
    links: list[tuple[int, LinkShape, tuple[End, End]]], nodes: dict[str, NodeShape]
) -> dict[int, int]:
    """Return the segment of each link: the first bridge it leads to, or else itself."""
    joined = {name: name for name, node in nodes.items() if node.kind == "bridge"}

    def root(name: str) -> str:
        while joined[name] != name:
            joined[name] = joined[joined[name]]
            name = joined[name]
        return name

    for _, _, (left, right) in links:
        if left.is_bridge and right.is_bridge:
            joined[root(right.node)] = root(left.node)
    first: dict[str, int] = {}
    segments = {}
    for index, _, ends in links:
        bridges = [end.node for end in ends if end.is_bridge]
        segments[index] = first.setdefault(root(bridges[0]), index) if bridges else index
    return segments


def _mtu(index: int, link: LinkShape, problems: Problems) -> int:
    if "mtu" not in link.model_fields_set:
        return 0
    mtu = whole_number(link.mtu)
    if mtu is None or not _SMALLEST_MTU <= mtu <= _LARGEST_MTU:
        problems.add(
            ("links", index, "mtu"),
            f"an mtu is a number from {_SMALLEST_MTU} to {_LARGEST_MTU}, not {quoted(link.mtu)}",
            "leave it out for 1500",
        )
        return 0
    if link.ipv6 and mtu < _SMALLEST_MTU_IPV6:
        problems.add(
            ("links", index, "mtu"),
            f"IPv6 needs an mtu of at least {_SMALLEST_MTU_IPV6}, this link has {mtu}",
            "raise it, or leave out `ipv6`",
        )
    return mtu


def _impair(
    index: int, link: LinkShape, ends: tuple[End, End], problems: Problems
) -> tuple[str, str]:
    if "impair" not in link.model_fields_set:
        return "", ""
    names = [(end.node, end.interface) for end in ends]
    return read_impair(link.impair, ("links", index, "impair"), names, problems)


class _Macs:
    """Understands MAC addresses and remembers where each was first."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._lines: dict[str, int] = {}

    def understood(self, index: int, side: int, text: str | None) -> str:
        if text is None:
            return ""
        loc = ("links", index, "mac", side)
        mac = text.lower()
        if not _MAC.fullmatch(text):
            self._problems.add(
                loc, f"{quoted(text)} is not a MAC address", "write it as 02:00:00:00:00:01"
            )
        elif int(mac[:2], 16) & _MULTICAST_BIT or mac == "00:00:00:00:00:00":
            self._problems.add(
                loc,
                f"an interface cannot have the MAC address {quoted(text)}",
                "the first byte must be even; 02 is the one for addresses of one's own",
            )
        elif mac in self._lines:
            self._problems.add(
                loc,
                f"the MAC address {quoted(text)} is also in line {self._lines[mac]}",
                "a MAC address belongs to one interface of the lab",
            )
        else:
            self._lines[mac] = self._problems.line(loc)
        return mac
