"""What was written becomes what is meant: names point at nodes, every address is written out."""

import re

from labctl.topology.addressing import Placed, assign_addresses
from labctl.topology.copies import default_netns
from labctl.topology.lab_rules import read_lab_rules, with_rules
from labctl.topology.model import Endpoint, Link, Node, Topology
from labctl.topology.problems import Loc, Problems
from labctl.topology.programs import resolve_programs
from labctl.topology.routing import Router
from labctl.topology.salvage import Salvage
from labctl.topology.schema import NodeShape
from labctl.topology.wiring import End, Wire, wire_up
from labctl.topology.words import NAME_RULE, is_name, quoted

_SYSCTL = re.compile(r"net(\.[A-Za-z0-9_-]+)+")
_OF_INTERFACE = re.compile(r"net\.(?:ipv4|ipv6|mpls)\.(?:conf|neigh)\.([^.]+)\..+")
_LONGEST_NETNS = 80
_BEFORE_INTERFACES = ("all", "default", "lo")
_NUMERIC = re.compile(r"(0[xX][0-9A-Fa-f]*|[0-9]+)(\.(0[xX][0-9A-Fa-f]*|[0-9]+))*")
_IN_HOSTS_FILE = ("localhost", "ip6-localhost", "ip6-loopback")


def resolve(salvage: Salvage, problems: Problems) -> Topology:
    """Return the lab that is meant, or raise ``LabErrors`` with everything that is wrong."""
    lab = salvage.lab
    if not is_name(lab.name):
        problems.add(("name",), f"{quoted(lab.name)} cannot name a lab", NAME_RULE)
    if not lab.nodes:
        problems.add(("nodes",), "the lab has no nodes", "list their names under `nodes:`")
    _check_node_names(lab.nodes, problems)
    wires, maimed = wire_up(lab.nodes, salvage.links, problems)
    plan = assign_addresses(wires, problems)
    plan.maimed.update(maimed, salvage.maimed)
    if any(node in lab.nodes and lab.nodes[node].kind == "bridge" for node in plan.maimed):
        plan.maimed.update(lab.nodes)
    router = Router(plan, problems)
    nodes = tuple(
        Node(
            node,
            shape.kind,
            shape.netns or default_netns(lab.name, node),
            router.routes(node, shape),
            _sysctls(node, shape, problems),
        )
        for node, shape in lab.nodes.items()
    )
    _check_netns(lab.nodes, nodes, problems)
    programs = resolve_programs(lab, problems)
    topology = Topology(lab.name, nodes, _links(wires, plan.placed), programs)
    if "rules" in lab.model_fields_set:
        rules = read_lab_rules(lab.rules, problems)
        # Where a link has been lost to a problem, nothing is concluded about where rules lead.
        if not (maimed or salvage.maimed):
            topology = with_rules(topology, rules, lab.rules or (), problems)
    problems.raise_all()
    return topology


def _check_node_names(nodes: dict[str, NodeShape], problems: Problems) -> None:
    seen: dict[str, str] = {}
    for name in nodes:
        fault = ""
        hint = NAME_RULE
        if not is_name(name):
            fault = f"{quoted(name)} cannot name a node"
        elif _NUMERIC.fullmatch(name):
            fault = f"the node name {quoted(name)} would be taken for an address"
            hint = "let it start with a letter"
        elif name.lower() in _IN_HOSTS_FILE:
            fault = f"the name {quoted(name)} means the node itself, in every node"
            hint = "give the node another name"
        elif name.lower() in seen:
            other = seen[name.lower()]
            fault = f"the nodes {quoted(name)} and {quoted(other)} differ only in capitals"
            hint = "programs that look up names do not see the difference; rename one of them"
        seen.setdefault(name.lower(), name)
        if fault:
            problems.add(("nodes", name), fault, hint, of_key=True)


def _check_netns(nodes: dict[str, NodeShape], named: tuple[Node, ...], problems: Problems) -> None:
    first: dict[str, str] = {}
    for node in named:
        shape = nodes[node.name]
        loc: Loc = ("nodes", node.name, "netns")
        if "netns" in shape.model_fields_set and not is_name(shape.netns, longest=_LONGEST_NETNS):
            problems.add(
                loc,
                f"{quoted(shape.netns)} cannot name a network namespace",
                "use letters, digits, `_`, `.` and `-`",
            )
        if node.netns in first:
            problems.add(
                loc,
                f"the nodes {quoted(first[node.netns])} and {quoted(node.name)} would both have "
                f"the network namespace {quoted(node.netns)}",
                "leave out `netns`, or give each another one",
            )
        first.setdefault(node.netns, node.name)


def _sysctls(name: str, shape: NodeShape, problems: Problems) -> tuple[tuple[str, str], ...]:
    for key, value in shape.sysctls.items():
        loc: Loc = ("nodes", name, "sysctls", key)
        if fault := _sysctl_fault(key):
            problems.add(loc, f"{quoted(key)} cannot be set: {fault[0]}", fault[1], of_key=True)
        elif not value.strip() or not value.isprintable():
            problems.add(loc, f"{quoted(key)} cannot be set to {quoted(value)}")
    return tuple(shape.sysctls.items())


def _sysctl_fault(key: str) -> tuple[str, str] | None:
    """Return what is wrong with the key, and what to do; the kernel has the last word at `up`."""
    if "/" in key:
        return "settings are written with dots", f"try {quoted(key.strip('/').replace('/', '.'))}"
    if not key.startswith("net."):
        return "a node has only settings of its network", "they start with `net.`"
    if not _SYSCTL.fullmatch(key):
        return "it is not the name of a setting", "`sysctl -a` lists them"
    interface = _OF_INTERFACE.fullmatch(key)
    if interface and interface[1] not in _BEFORE_INTERFACES:
        return (
            f"settings are made before the interface {quoted(interface[1])} exists",
            "write `default` in its place: interfaces start with what it says",
        )
    return None


def _links(wires: list[Wire], placed: list[Placed]) -> tuple[Link, ...]:
    addresses: dict[End, list[str]] = {}
    for one in placed:
        addresses.setdefault(one.end, []).append(str(one.interface))

    def endpoint(wire: Wire, side: int) -> Endpoint:
        end = wire.ends[side]
        return Endpoint(
            end.node,
            end.interface,
            tuple(addresses.get(end, ())),
            wire.macs[side],
            wire.impair[side],
        )

    return tuple(Link(endpoint(wire, 0), endpoint(wire, 1), wire.mtu) for wire in wires)
