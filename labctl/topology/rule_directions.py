"""Which direction of which link the rules of a file are for."""

from typing import NamedTuple

from labctl.errors import LabError, LabErrors
from labctl.topology.model import Endpoint, Topology
from labctl.topology.rules import DirectionRules, Rule, RuleFile
from labctl.topology.words import listed, nearest, quoted


class PlacedRules(NamedTuple):
    """The rules of one direction of one link."""

    link: int
    """Its place in the topology."""
    is_from_left: bool
    """Whether the frames go from the left endpoint to the right one."""
    name: str
    """``client2:veth_c2->server:veth_srv_c2``, however the direction was written."""
    rules: tuple[Rule, ...]


def place_rules(file: RuleFile, topology: Topology) -> list[PlacedRules]:
    """Return where the rules belong. Raises ``LabErrors`` with every direction that is none."""
    placed: dict[str, PlacedRules] = {}
    first: dict[str, DirectionRules] = {}
    found: list[LabError] = []
    for direction in file.directions:
        result = _place(direction, topology)
        if isinstance(result, LabError):
            found.append(result)
        elif result.name in placed:
            other = first[result.name]
            found.append(
                LabError(
                    f"{quoted(direction.direction)} is the same direction as "
                    f"{quoted(other.direction)} in {other.where}",
                    where=direction.where,
                    hint="join their rules under one of them",
                )
            )
        else:
            placed[result.name] = result
            first[result.name] = direction
    if found:
        raise LabErrors(found)
    return list(placed.values())


def _place(direction: DirectionRules, topology: Topology) -> PlacedRules | LabError:
    source, _, target = direction.direction.partition("->")
    for end in (source, target):
        if fault := _fault_of_end(end, direction, topology):
            return fault
    candidates = [
        PlacedRules(index, is_from_left, f"{_named(here)}->{_named(there)}", direction.rules)
        for index, link in enumerate(topology.links)
        for is_from_left, here, there in (
            (True, link.left, link.right),
            (False, link.right, link.left),
        )
        if _is_meant(source, here) and _is_meant(target, there)
    ]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        return LabError(
            f"{quoted(direction.direction)} means {len(candidates)} links",
            where=direction.where,
            hint=f"name the interfaces: {listed(quoted(one.name) for one in candidates)}",
        )
    return LabError(
        f"there is no link from {quoted(source)} to {quoted(target)}",
        where=direction.where,
        hint=_neighbours(source, topology),
    )


def _fault_of_end(end: str, direction: DirectionRules, topology: Topology) -> LabError | None:
    node, _, interface = end.partition(":")
    nodes = [one.name for one in topology.nodes]
    if node not in nodes:
        close = nearest(node, nodes)
        return LabError(
            f"there is no node {quoted(node)}",
            where=direction.where,
            hint=f"did you mean {quoted(close)}?" if close else f"nodes: {listed(nodes)}",
        )
    interfaces = [one.interface for one in topology.endpoints(node)]
    if ":" in end and interface not in interfaces:
        close = nearest(interface, interfaces)
        return LabError(
            f"the node {quoted(node)} has no interface {quoted(interface)}",
            where=direction.where,
            hint=f"did you mean {quoted(close)}?" if close else f"it has {listed(interfaces)}",
        )
    return None


def _is_meant(end: str, endpoint: Endpoint) -> bool:
    return end in (endpoint.node, _named(endpoint))


def _named(endpoint: Endpoint) -> str:
    return f"{endpoint.node}:{endpoint.interface}"


def _neighbours(end: str, topology: Topology) -> str:
    node = end.partition(":")[0]
    others: dict[str, None] = {}
    for link in topology.links:
        if link.left.node == node:
            others[link.right.node] = None
        if link.right.node == node:
            others[link.left.node] = None
    if not others:
        return f"{quoted(node)} has no links"
    return f"rules are for one link each; {quoted(node)} has links to {listed(others)}"
