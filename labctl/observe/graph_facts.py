"""What a picture of a lab says about each node and link, in words; shared by all formats."""

from collections.abc import Iterator
from ipaddress import ip_interface
from typing import NamedTuple

from labctl.topology.model import Endpoint, Link, Node, NodeKind, Program, Topology

KIND_WORDS: dict[NodeKind, str] = {"host": "host", "router": "router", "bridge": "switch"}

MOST_LINES = 5
"""Routes, or programs, that one node lists before the rest is only counted."""


class Interface(NamedTuple):
    """One end of a link, with the end it is wired to."""

    end: Endpoint
    peer: Endpoint
    link: int
    """Index of the link in the topology."""


class NodeFacts(NamedTuple):
    """A node and everything that hangs on it."""

    node: Node
    interfaces: tuple[Interface, ...]
    programs: tuple[Program, ...]
    segment: tuple[str, ...]
    """The subnets on the wire behind a switch; empty for any other node."""


def facts(topology: Topology) -> list[NodeFacts]:
    """Return the facts of every node, in the order of the lab file."""
    interfaces: dict[str, list[Interface]] = {node.name: [] for node in topology.nodes}
    programs: dict[str, list[Program]] = {node.name: [] for node in topology.nodes}
    for index, link in enumerate(topology.links):
        interfaces[link.left.node].append(Interface(link.left, link.right, index))
        interfaces[link.right.node].append(Interface(link.right, link.left, index))
    for program in topology.programs:
        programs[program.node].append(program)
    found = []
    for node in topology.nodes:
        own = tuple(interfaces[node.name])
        segment: dict[str, None] = {}
        if node.kind == "bridge":
            segment = dict.fromkeys(
                subnet
                for interface in own
                for subnet in (*subnets(interface.end), *subnets(interface.peer))
            )
        found.append(NodeFacts(node, own, tuple(programs[node.name]), tuple(segment)))
    return found


def subnets(end: Endpoint) -> list[str]:
    """Return the networks of an interface's addresses."""
    return [str(ip_interface(address).network) for address in end.addresses]


def link_labels(topology: Topology) -> list[tuple[str, ...]]:
    """Return for every link what is written in its middle: subnets, the MTU, what makes it bad.

    A link to a switch names no subnet: the subnet belongs to everything behind that switch, and
    stands there once.
    """
    switches = {node.name for node in topology.nodes if node.kind == "bridge"}
    return [_link_label(link, switches) for link in topology.links]


def _link_label(link: Link, switches: set[str]) -> tuple[str, ...]:
    lines: dict[str, None] = {}
    if link.left.node not in switches and link.right.node not in switches:
        lines = dict.fromkeys([*subnets(link.left), *subnets(link.right)])
    if link.mtu:
        lines[f"mtu {link.mtu}"] = None
    lines.update(dict.fromkeys(_bad_words(link)))
    return tuple(lines)


def _bad_words(link: Link) -> Iterator[str]:
    """Yield what the link does to packets; where only one end's suffer, with that end."""
    left, right = link.left, link.right
    if left.impair and left.impair == right.impair:
        yield left.impair
    for end in (left, right):
        if end.impair and left.impair != right.impair:
            yield f"from {end.node}: {end.impair}"
        if end.rules:
            yield f"from {end.node}: {len(end.rules)} rule{'s' * (len(end.rules) != 1)}"


def gateways(node: Node) -> list[str]:
    """Return the next hops of a node's default routes."""
    return [route.via for route in node.routes if route.to == "default"]


def forwarding(node: Node, *, ipv6: bool) -> str:
    """Return the protocols that a node forwards, in words; empty for all but routers."""
    if node.kind != "router":
        return ""
    return "IPv4 and IPv6" if ipv6 else "IPv4"


def kind_words(node: Node, *, ipv6: bool) -> str:
    """Return what a node is, in words."""
    protocols = forwarding(node, ipv6=ipv6)
    return f"{KIND_WORDS[node.kind]}{', forwards ' if protocols else ''}{protocols}"


def node_lines(fact: NodeFacts) -> list[str]:
    """Return what is written under a node's name and kind."""
    routes = [f"route {to} via {via}" for to, via in fact.node.routes if to != "default"]
    return [
        f"netns {fact.node.netns}",
        *(f"subnet {subnet}" for subnet in fact.segment),
        *(f"gateway {via}" for via in gateways(fact.node)),
        *_first(routes, "routes"),
        *_first([f"runs {program_words(program)}" for program in fact.programs], "programs"),
    ]


def program_words(program: Program) -> str:
    """Return a program's name, and the port it listens on where the lab file tells."""
    verb, _, port = program.ready.partition(" ")
    return f"{program.name} ({port})" if verb == "listening" else program.name


def _first(lines: list[str], what: str) -> list[str]:
    if len(lines) <= MOST_LINES:
        return lines
    return [*lines[: MOST_LINES - 1], f"and {len(lines) - MOST_LINES + 1} more {what}"]


def headline(topology: Topology) -> str:
    """Return the size of a lab in words."""
    nodes, links = len(topology.nodes), len(topology.links)
    return f"{nodes} node{'s' * (nodes != 1)}, {links} link{'s' * (links != 1)}"
