"""Topologies for the tests of the plan, built by hand."""

from labctl.topology.model import Endpoint, Link, Node, NodeKind, Program, Route, Topology


def node(name: str, kind: NodeKind = "host", **changes: object) -> Node:
    """Return a node without routes and sysctls, unless they are given."""
    return Node(name, kind, f"ns_{name}", (), ())._replace(**changes)  # type: ignore[arg-type]


def end(place: str, *addresses: str, mac: str = "") -> Endpoint:
    """Return an endpoint written as ``node:interface``."""
    name, _, interface = place.partition(":")
    return Endpoint(name, interface, addresses, mac)


def two_clients() -> Topology:
    """Return the lab of the tutorial."""
    return Topology(
        "two_clients",
        (
            node("client1", routes=(Route("default", "10.0.1.1"),)),
            node("server", "router"),
            node("client2", routes=(Route("default", "10.0.2.1"),)),
        ),
        (
            Link(end("client1:c1", "10.0.1.2/24"), end("server:s1", "10.0.1.1/24"), 0),
            Link(end("client2:c2", "10.0.2.2/24"), end("server:s2", "10.0.2.1/24"), 0),
        ),
        (),
    )


def lan() -> Topology:
    """Return two hosts on a switch, with IPv4 and IPv6, and a program on one of them."""
    return Topology(
        "lan",
        (node("a"), node("b", sysctls=(("net.ipv4.ip_default_ttl", "3"),)), node("sw", "bridge")),
        (
            Link(end("a:eth0", "10.0.0.1/24", "fd00::1/64"), end("sw:p1"), 1400),
            Link(end("b:eth0", "10.0.0.2/24", mac="02:00:00:00:00:07"), end("sw:p2"), 0),
        ),
        (Program("sink", "b", ("sink", "a b"), "listening tcp/9", 5.0),),
    )
