"""A topology becomes the list of steps that build it, in the order in which they happen."""

from collections.abc import Iterator

from labctl.plan.backend import (
    HIDDEN_MTU,
    Impairments,
    WiredLink,
    hidden_netns,
    wired_links,
)
from labctl.plan.bad_links import check_bad_links, wire_steps
from labctl.plan.host import HostAbilities
from labctl.plan.hosts_file import hosts_files
from labctl.plan.steps import (
    AddRoute,
    AssignAddress,
    AttachToBridge,
    BringUp,
    BringUpSilent,
    CreateBridge,
    CreateHiddenNamespace,
    CreateLink,
    CreateNamespace,
    Impair,
    LinkEnd,
    PassFrames,
    SetSysctl,
    StartProgram,
    Step,
    WriteHosts,
)
from labctl.topology.model import BRIDGE_INTERFACE, Endpoint, Link, Node, Topology

FIRST_INDEX = 2
"""The interface number after ``lo`` in a new namespace (see ``kernel.apply`` for exceptions)."""


def plan_lab(
    topology: Topology, abilities: HostAbilities, impairments: Impairments = "auto"
) -> list[Step]:
    """Namespaces first, then links, then what sits on each interface, then programs.

    All that concerns one namespace stands together, so that its messages travel in one batch.
    Raises ``LabError`` or ``LabErrors`` where ``impairments``, or an ``impair`` of the lab, asks for
    what the machine has not.
    """
    wired = {link.number: link for link in wired_links(topology, abilities, impairments)}
    check_bad_links(topology, wired, abilities, impairments)
    bad_links = list(wire_steps(topology, wired))
    bad = {step.link for step in bad_links}
    nodes = {node.name: node for node in topology.nodes}
    ipv6 = topology.uses_ipv6()
    ends: dict[tuple[str, str], LinkEnd] = {}
    interfaces: dict[str, list[Endpoint]] = {name: [] for name in nodes}
    for number, link in enumerate(topology.links):
        for end in (link.left, link.right):
            node = nodes[end.node]
            index = FIRST_INDEX + len(interfaces[end.node]) + (node.kind == "bridge")
            ends[end[:2]] = LinkEnd(node.netns, end.interface, index, end.mac, link.mtu)
            # What a wired link does to packets is the emulator's business, not the interface's.
            is_wired = end.impair and number in wired
            interfaces[end.node].append(end._replace(impair="") if is_wired else end)
    hidden = hidden_netns(topology)
    return [
        *(CreateNamespace(node.name, node.netns) for node in topology.nodes),
        *_hidden_namespace_steps(hidden, wired, abilities),
        *(
            step
            for node in topology.nodes
            for step in _sysctl_steps(node, ipv6=ipv6, abilities=abilities)
        ),
        *(
            CreateBridge(node.netns, BRIDGE_INTERFACE, FIRST_INDEX)
            for node in topology.nodes
            if node.kind == "bridge"
        ),
        *(
            _link_step(link, interfaces, ends)
            for number, link in enumerate(topology.links)
            if number not in wired
        ),
        *(step for link in wired.values() for step in _wired_link_steps(hidden, link, ends)),
        *(
            step
            for link in wired.values()
            for step in _pass_frames_steps(hidden, link, is_bad=link.number in bad)
        ),
        *(
            step
            for node in topology.nodes
            for step in _node_steps(node, [(end, ends[end[:2]]) for end in interfaces[node.name]])
        ),
        *(WriteHosts(nodes[name].netns, text) for name, text in hosts_files(topology)),
        *bad_links,
        # Plugged in last: what a node's kernel sends as soon as there is a carrier must already
        # see the impairment.
        *(step for number in sorted(bad) for step in _bring_up_hidden(hidden, wired[number])),
        *(
            StartProgram(
                program.node,
                nodes[program.node].netns,
                program.name,
                program.command,
                program.ready,
                program.ready_within_s,
            )
            for program in topology.programs
        ),
    ]


def _link_step(
    link: Link, interfaces: dict[str, list[Endpoint]], ends: dict[tuple[str, str], LinkEnd]
) -> CreateLink:
    # Asked for in the namespace with more links, so that a hub's thousand links are one batch.
    near, peer = link.left, link.right
    if len(interfaces[peer.node]) > len(interfaces[near.node]):
        near, peer = peer, near
    return CreateLink(ends[near[:2]], ends[peer[:2]])


def _hidden_namespace_steps(
    hidden: str, wired: dict[int, WiredLink], abilities: HostAbilities
) -> Iterator[Step]:
    if wired:
        yield CreateHiddenNamespace(hidden)
        if abilities.ipv6:
            yield SetSysctl(hidden, "net.ipv6.conf.default.disable_ipv6", "1")


def _wired_link_steps(
    hidden: str, wired: WiredLink, ends: dict[tuple[str, str], LinkEnd]
) -> Iterator[Step]:
    for end, far, ifindex in (
        (wired.link.left, wired.left_far, wired.left_ifindex),
        (wired.link.right, wired.right_far, wired.right_ifindex),
    ):
        yield CreateLink(LinkEnd(hidden, far, ifindex, mtu=HIDDEN_MTU), ends[end[:2]])


def _pass_frames_steps(hidden: str, wired: WiredLink, *, is_bad: bool) -> Iterator[Step]:
    left = (wired.left_far, wired.left_ifindex)
    right = (wired.right_far, wired.right_ifindex)
    yield PassFrames(hidden, *left, *right)
    yield PassFrames(hidden, *right, *left)
    if not is_bad:
        yield from _bring_up_hidden(hidden, wired)


def _bring_up_hidden(hidden: str, wired: WiredLink) -> Iterator[BringUpSilent]:
    yield BringUpSilent(hidden, wired.left_far, wired.left_ifindex)
    yield BringUpSilent(hidden, wired.right_far, wired.right_ifindex)


def _sysctl_steps(node: Node, *, ipv6: bool, abilities: HostAbilities) -> Iterator[SetSysctl]:
    # Before any interface exists: new interfaces take over what "default" says at their birth.
    if not ipv6 and abilities.ipv6:
        # A lab without IPv6 must not show its router solicitations and multicast reports in
        # every capture. Loopback keeps ::1, which programs are free to use.
        yield SetSysctl(node.netns, "net.ipv6.conf.default.disable_ipv6", "1")
    if ipv6:
        # Link-local addresses would be tentative for two seconds, and a router with a tentative
        # one cannot look for the neighbours that it is to forward to.
        yield SetSysctl(node.netns, "net.ipv6.conf.default.accept_dad", "0")
    if node.kind == "router":
        yield SetSysctl(node.netns, "net.ipv4.ip_forward", "1")
        if ipv6:
            yield SetSysctl(node.netns, "net.ipv6.conf.all.forwarding", "1")
    for key, value in node.sysctls:
        yield SetSysctl(node.netns, key, value)


def _node_steps(node: Node, interfaces: list[tuple[Endpoint, LinkEnd]]) -> Iterator[Step]:
    for endpoint, end in interfaces:
        if node.kind == "bridge":
            yield AttachToBridge(
                node.netns, end.interface, end.ifindex, BRIDGE_INTERFACE, FIRST_INDEX
            )
        for address in endpoint.addresses:
            yield AssignAddress(node.netns, end.interface, end.ifindex, address)
        if endpoint.impair:
            yield Impair(node.netns, end.interface, end.ifindex, endpoint.impair)
        # Up comes last: neighbour discovery starts at once, and must already see the impairment.
        yield BringUp(node.netns, end.interface, end.ifindex)
    # Routes last: a next hop must be reachable through an interface that is up.
    for route in node.routes:
        yield AddRoute(node.netns, route.to, route.via)
