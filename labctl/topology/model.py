"""What a lab is, resolved: every name points at something, every address is written out.

These are named tuples and not dataclasses because every ``labctl up`` creates the classes
anew: a frozen dataclass with slots costs 0.4 ms to define, a named tuple 0.06 ms, and the whole
command has about 35 ms.
"""

from typing import Literal, NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from labctl.topology.rules import Rule

NodeKind = Literal["host", "router", "bridge"]

BRIDGE_INTERFACE = "br0"
"""The one bridge device of a node of kind ``bridge``; each of its links is a port of it."""


class Route(NamedTuple):
    """A static route: ``to`` is ``default`` or a CIDR prefix, ``via`` the next hop's address."""

    to: str
    via: str


class Node(NamedTuple):
    """One network namespace."""

    name: str
    """The name in the lab file, on the command line and in every node's hosts file."""
    kind: NodeKind
    netns: str
    """The name that ``ip netns`` knows."""
    routes: tuple[Route, ...]
    """The gateway, if any, is the route to ``default``."""
    sysctls: tuple[tuple[str, str], ...]
    """Pairs of dotted key and value; only what the lab file says, not what the kind implies."""


class Endpoint(NamedTuple):
    """One end of a link: an interface of a node."""

    node: str
    interface: str
    addresses: tuple[str, ...]
    """Each as ``10.0.1.2/24`` or ``fd00:1::2/64``, IPv4 first."""
    mac: str
    """As ``02:00:00:00:00:01``; empty where the kernel chooses."""
    impair: str = ""
    """What becomes of the packets that it sends, in the words of tc-netem(8)."""
    rules: "tuple[Rule, ...]" = ()
    """Exact faults of the packets that it sends."""


class Link(NamedTuple):
    """A veth pair."""

    left: Endpoint
    right: Endpoint
    mtu: int
    """Bytes, of both ends; 0 where the kernel chooses (1500)."""


class Program(NamedTuple):
    """A long-running program that ``labctl up`` starts."""

    name: str
    node: str
    command: tuple[str, ...]
    ready: str
    """``listening udp/8080``, ``listening tcp/8085``, ``log TEXT``, or empty: ready at once."""
    ready_within_s: float


class Topology(NamedTuple):
    """A whole lab, as it is meant."""

    name: str
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    programs: tuple[Program, ...]
    seed: int | None = None
    """Of the random choices of rules; ``None`` where they need not repeat."""

    def node(self, name: str) -> Node:
        """Return the node of that name. Raises ``KeyError`` where there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def endpoints(self, node: str) -> list[Endpoint]:
        """Return the interfaces of one node, in the order of the lab file."""
        return [end for link in self.links for end in link[:2] if end.node == node]

    def uses_ipv6(self) -> bool:
        """Whether any address or route of the lab is an IPv6 one."""
        return any(
            ":" in address
            for link in self.links
            for end in (link.left, link.right)
            for address in end.addresses
        ) or any(":" in route.via for node in self.nodes for route in node.routes)
