"""plan_lab: which steps, in which order."""

import itertools
from typing import TypeVar

from labctl.plan.build import plan_lab
from labctl.plan.host import HostAbilities
from labctl.plan.steps import (
    AddRoute,
    AssignAddress,
    AttachToBridge,
    BringUp,
    CreateBridge,
    CreateLink,
    CreateNamespace,
    LinkEnd,
    SetSysctl,
    StartProgram,
    Step,
    WriteHosts,
)
from labctl.topology.model import Link, Route, Topology
from tests.plan.labs import end, lan, node, two_clients

ABLE = HostAbilities()


S = TypeVar("S")


def of_kind(steps: list[Step], kind: type[S]) -> list[S]:
    return [step for step in steps if isinstance(step, kind)]


def test_what_something_stands_on_comes_before_it() -> None:
    order = [CreateNamespace, SetSysctl, CreateBridge, CreateLink, AttachToBridge, WriteHosts]
    steps = plan_lab(lan(), ABLE)
    positions = [
        (min(places), max(places))
        for kind in order
        if (places := [number for number, step in enumerate(steps) if isinstance(step, kind)])
    ]
    assert len(positions) == len(order)
    assert all(last < first for (_, last), (first, _) in itertools.pairwise(positions))
    assert isinstance(steps[-1], StartProgram)


def test_an_interface_comes_up_after_it_has_its_addresses_and_before_routes_use_it() -> None:
    client = [step for step in plan_lab(two_clients(), ABLE) if step[0] == "ns_client1"]
    kinds = [type(step) for step in client if not isinstance(step, SetSysctl | WriteHosts)]
    assert kinds == [AssignAddress, BringUp, AddRoute]


def test_a_router_forwards_and_a_host_does_not() -> None:
    forwarding = [
        step
        for step in plan_lab(two_clients(), ABLE)
        if isinstance(step, SetSysctl) and "forward" in step.key
    ]
    assert forwarding == [SetSysctl("ns_server", "net.ipv4.ip_forward", "1")]


def test_ipv6_is_off_on_links_where_no_address_needs_it() -> None:
    off = SetSysctl("ns_server", "net.ipv6.conf.default.disable_ipv6", "1")
    assert off in plan_lab(two_clients(), ABLE)


def test_an_ipv6_lab_leaves_ipv6_on() -> None:
    assert not any("disable_ipv6" in step.key for step in of_kind(plan_lab(lan(), ABLE), SetSysctl))


def test_a_kernel_without_ipv6_is_not_asked_to_switch_it_off() -> None:
    steps = plan_lab(two_clients(), HostAbilities(ipv6=False))
    assert not any("ipv6" in step.key for step in of_kind(steps, SetSysctl))


def test_a_router_with_ipv6_forwards_both() -> None:
    topology = two_clients()
    link = Link(end("client1:c1", "fd00::2/64"), end("server:s1", "fd00::1/64"), 0)
    steps = plan_lab(topology._replace(links=(link,)), ABLE)
    keys = {step.key for step in of_kind(steps, SetSysctl) if step.netns == "ns_server"}
    assert keys == {
        "net.ipv4.ip_forward",
        "net.ipv6.conf.all.forwarding",
        "net.ipv6.conf.default.accept_dad",
    }


def test_a_link_local_address_is_not_left_tentative() -> None:
    # Else a router forwards no IPv6 for its first two seconds.
    steps = plan_lab(lan(), ABLE)
    dad = SetSysctl("ns_a", "net.ipv6.conf.default.accept_dad", "0")
    assert steps.index(dad) < min(i for i, s in enumerate(steps) if isinstance(s, CreateLink))


def test_sysctls_of_the_file_come_after_those_of_the_kind() -> None:
    unrouted = node("r", "router", sysctls=(("net.ipv4.ip_forward", "0"),))
    steps = of_kind(plan_lab(Topology("t", (unrouted,), (), ()), ABLE), SetSysctl)
    assert [step.value for step in steps if step.key == "net.ipv4.ip_forward"] == ["1", "0"]


def test_interfaces_are_numbered_from_two_in_the_order_of_the_file() -> None:
    links = of_kind(plan_lab(two_clients(), ABLE), CreateLink)
    assert [(link.near.interface, link.near.ifindex) for link in links] == [("s1", 2), ("s2", 3)]
    assert [(link.peer.interface, link.peer.ifindex) for link in links] == [("c1", 2), ("c2", 2)]


def test_ports_of_a_bridge_are_numbered_after_it() -> None:
    steps = plan_lab(lan(), ABLE)
    assert of_kind(steps, CreateBridge) == [CreateBridge("ns_sw", "br0", 2)]
    assert of_kind(steps, AttachToBridge) == [
        AttachToBridge("ns_sw", "p1", 3, "br0", 2),
        AttachToBridge("ns_sw", "p2", 4, "br0", 2),
    ]


def test_a_link_is_asked_for_where_there_are_more() -> None:
    nears = {link.near.netns for link in of_kind(plan_lab(two_clients(), ABLE), CreateLink)}
    assert nears == {"ns_server"}


def test_mtu_and_mac_reach_the_link() -> None:
    first, second = of_kind(plan_lab(lan(), ABLE), CreateLink)
    assert (first.near.mtu, first.peer.mtu, second.near.mtu) == (1400, 1400, 0)
    assert LinkEnd("ns_b", "eth0", 2, "02:00:00:00:00:07") in (second.near, second.peer)


def test_routes_other_than_the_gateway_are_added_too() -> None:
    routed = node("r", routes=(Route("10.9.0.0/16", "10.0.0.9"),))
    steps = plan_lab(Topology("t", (routed,), (), ()), ABLE)
    assert AddRoute("ns_r", "10.9.0.0/16", "10.0.0.9") in steps


def test_a_program_is_started_in_its_node() -> None:
    assert of_kind(plan_lab(lan(), ABLE), StartProgram) == [
        StartProgram("b", "ns_b", "sink", ("sink", "a b"), "listening tcp/9", 5.0)
    ]


def test_a_thousand_nodes_are_planned_in_steps_that_grow_with_them_alone() -> None:
    def star(clients: int) -> int:
        hub = node("hub", "router")
        links = tuple(
            Link(end(f"c{n}:e", f"10.{n // 250}.{n % 250}.2/24"), end(f"hub:h{n}"), 0)
            for n in range(clients)
        )
        nodes = (hub, *(node(f"c{n}") for n in range(clients)))
        return len(plan_lab(Topology("star", nodes, links, ()), ABLE))

    assert star(1000) - star(500) == 500 * (star(2) - star(1))
