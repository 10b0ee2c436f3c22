"""A resolved topology as JSON text, and back: for the cache and for a running lab's folder."""

import json
from typing import Any

from labctl.topology.model import Endpoint, Link, Node, Program, Route, Topology

TYPE_CHECKING = False
if TYPE_CHECKING:
    from labctl.topology.rules import Rule


def dump_topology(topology: Topology) -> str:
    """Return JSON text; named tuples become arrays in the order of their fields."""
    return json.dumps(topology, separators=(",", ":"))


def load_topology_text(text: str) -> Topology:
    """Return what ``dump_topology`` was given. Raises ``ValueError`` or ``TypeError`` otherwise."""
    name, nodes, links, programs, seed = json.loads(text)
    return Topology(
        name,
        tuple(
            Node(
                node,
                kind,
                netns,
                tuple(Route(*route) for route in routes),
                tuple((key, value) for key, value in sysctls),
            )
            for node, kind, netns, routes, sysctls in nodes
        ),
        tuple(Link(_endpoint(*left), _endpoint(*right), mtu) for left, right, mtu in links),
        tuple(
            Program(program, node, tuple(command), ready, within)
            for program, node, command, ready, within in programs
        ),
        seed,
    )


def _endpoint(
    node: str,
    interface: str,
    addresses: list[str],
    mac: str,
    impair: str,
    rules: list[list[Any]],
) -> Endpoint:
    return Endpoint(node, interface, tuple(addresses), mac, impair, _rules(rules) if rules else ())


def _rules(rules: list[list[Any]]) -> "tuple[Rule, ...]":
    # Imported here because few labs have rules, and every `labctl up` comes by.
    from labctl.topology.rules import rule_of

    return tuple(rule_of(*rule) for rule in rules)
