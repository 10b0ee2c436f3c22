"""Labs to draw, built by hand, one for each shape that a picture has to cope with."""

from collections.abc import Sequence

from labctl.topology.model import Endpoint, Link, Node, NodeKind, Program, Route, Topology


def node(
    name: str, kind: NodeKind = "host", *, gateway: str = "", routes: Sequence[Route] = ()
) -> Node:
    """Return a node whose namespace is named after it."""
    default = (Route("default", gateway),) if gateway else ()
    return Node(name, kind, f"ns-{name}", (*default, *routes), ())


def link(left: str, right: str, *, mtu: int = 0) -> Link:
    """Return a link; each end is written as ``node:interface address address``."""
    return Link(_endpoint(left), _endpoint(right), mtu)


def _endpoint(text: str) -> Endpoint:
    place, *addresses = text.split()
    name, _, interface = place.partition(":")
    return Endpoint(name, interface, tuple(addresses), "")


def lab(name: str, nodes: Sequence[Node], links: Sequence[Link] = ()) -> Topology:
    """Return a lab without programs."""
    return Topology(name, tuple(nodes), tuple(links), ())


def pair() -> Topology:
    """Return two hosts on one wire."""
    return lab(
        "pair",
        [node("client"), node("server")],
        [link("client:eth0 10.0.0.1/24", "server:eth0 10.0.0.2/24")],
    )


def two_clients() -> Topology:
    """Return a server between two networks, running a program."""
    return Topology(
        "two_clients",
        (
            Node("client1", "host", "ns_client1", (Route("default", "10.0.1.1"),), ()),
            Node("server", "router", "ns_server", (), ()),
            Node("client2", "host", "ns_client2", (Route("default", "10.0.2.1"),), ()),
        ),
        (
            link("client1:veth_c1 10.0.1.2/24", "server:veth_srv_c1 10.0.1.1/24"),
            link("client2:veth_c2 10.0.2.2/24", "server:veth_srv_c2 10.0.2.1/24"),
        ),
        (Program("time_server", "server", ("./time_server",), "listening udp/8080", 5.0),),
    )


def star(clients: int) -> Topology:
    """Return a router with that many hosts around it, each on a network of its own."""
    net = [f"10.{number // 250}.{number % 250}" for number in range(clients + 1)]
    return lab(
        "star",
        [
            node("server", "router"),
            *(node(f"client{n}", gateway=f"{net[n]}.1") for n in range(1, clients + 1)),
        ],
        [
            link(f"client{n}:eth0 {net[n]}.2/24", f"server:eth{n} {net[n]}.1/24")
            for n in range(1, clients + 1)
        ],
    )


def lan(hosts: int) -> Topology:
    """Return a switch with that many hosts."""
    return lab(
        "lan",
        [node("switch", "bridge"), *(node(f"h{n}") for n in range(1, hosts + 1))],
        [link(f"h{n}:eth0 10.0.0.{n}/24", f"switch:p{n}") for n in range(1, hosts + 1)],
    )


def chain(length: int) -> Topology:
    """Return that many nodes in a row: routers, and a host at each end."""
    names = ["client", *(f"r{n}" for n in range(1, length - 1)), "server"]
    ends = {"client", "server"}
    return lab(
        "chain",
        [node(name, "host" if name in ends else "router") for name in names],
        [
            link(f"{names[n]}:right 10.0.{n}.1/24", f"{names[n + 1]}:left 10.0.{n}.2/24")
            for n in range(length - 1)
        ],
    )


def dual_stack() -> Topology:
    """Return two hosts and a router, with both protocols and one narrow link."""
    return lab(
        "dual-stack",
        [node("client", gateway="10.0.1.1"), node("router", "router"), node("server")],
        [
            link(
                "client:eth0 10.0.1.2/24 fd00:1::2/64",
                "router:eth0 10.0.1.1/24 fd00:1::1/64",
            ),
            link(
                "router:eth1 10.0.2.1/24 fd00:2::1/64",
                "server:eth0 10.0.2.2/24 fd00:2::2/64",
                mtu=1400,
            ),
        ],
    )


def dumbbell(pairs: int) -> Topology:
    """Return senders and receivers around a link that all of them share."""
    many = range(1, pairs + 1)
    return lab(
        "dumbbell",
        [
            *(node(f"sender{n}", gateway=f"10.1.{n}.1") for n in many),
            node("r1", "router", routes=[Route("10.2.0.0/16", "10.0.0.2")]),
            node("r2", "router", routes=[Route("10.1.0.0/16", "10.0.0.1")]),
            *(node(f"receiver{n}", gateway=f"10.2.{n}.1") for n in many),
        ],
        [
            *(link(f"sender{n}:eth0 10.1.{n}.2/24", f"r1:s{n} 10.1.{n}.1/24") for n in many),
            link("r1:core 10.0.0.1/30", "r2:core 10.0.0.2/30"),
            *(link(f"receiver{n}:eth0 10.2.{n}.2/24", f"r2:d{n} 10.2.{n}.1/24") for n in many),
        ],
    )


def ring(length: int) -> Topology:
    """Return routers in a circle."""
    return lab(
        "ring",
        [node(f"r{n}", "router") for n in range(length)],
        [
            link(f"r{n}:right 10.0.{n}.1/24", f"r{(n + 1) % length}:left 10.0.{n}.2/24")
            for n in range(length)
        ],
    )


def mesh(size: int) -> Topology:
    """Return routers each linked to every other."""
    return lab(
        "mesh",
        [node(f"r{n}", "router") for n in range(size)],
        [
            link(f"r{n}:to{m} 10.{n}.{m}.1/24", f"r{m}:to{n} 10.{n}.{m}.2/24")
            for n in range(size)
            for m in range(n + 1, size)
        ],
    )


def campus() -> Topology:
    """Return a tree three levels deep, with a switch at each branch."""
    nodes = [node("core", "router")]
    links = []
    for site in (1, 2, 3):
        nodes += [node(f"gate{site}", "router"), node(f"switch{site}", "bridge")]
        links += [
            link(f"gate{site}:up 10.255.{site}.2/30", f"core:d{site} 10.255.{site}.1/30"),
            link(f"gate{site}:lan 10.{site}.0.1/24", f"switch{site}:up"),
        ]
        for desk in range(1, 5):
            nodes.append(node(f"pc{site}{desk}", gateway=f"10.{site}.0.1"))
            links.append(
                link(f"pc{site}{desk}:eth0 10.{site}.0.1{desk}/24", f"switch{site}:p{desk}")
            )
    return lab("campus", nodes, links)


def alone(count: int) -> Topology:
    """Return nodes without any link."""
    return lab("alone", [node(f"n{number}") for number in range(count)])


def apart() -> Topology:
    """Return a pair, a switch with two hosts and a node on its own."""
    return lab(
        "apart",
        [*pair().nodes, *lan(2).nodes, node("spare")],
        [*pair().links, *lan(2).links],
    )


def doubled() -> Topology:
    """Return two nodes with two links between them, one of which also has a link to itself."""
    return lab(
        "doubled",
        [node("a"), node("b")],
        [
            link("a:x 10.0.0.1/24", "a:y 10.0.1.1/24"),
            link("a:e0 10.1.0.1/24", "b:e0 10.1.0.2/24"),
            link("a:e1 10.2.0.1/24", "b:e1 10.2.0.2/24"),
        ],
    )


SHAPES: dict[str, Topology] = {
    "pair": pair(),
    "two_clients": two_clients(),
    "star of 5": star(5),
    "star of 20": star(20),
    "star of 100": star(100),
    "lan of 5": lan(5),
    "lan of 100": lan(100),
    "chain of 4": chain(4),
    "chain of 10": chain(10),
    "dual stack": dual_stack(),
    "dumbbell": dumbbell(3),
    "ring of 3": ring(3),
    "ring of 6": ring(6),
    "mesh of 5": mesh(5),
    "campus": campus(),
    "alone": alone(5),
    "apart": apart(),
    "doubled": doubled(),
}
