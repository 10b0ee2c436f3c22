import pytest

from labctl.observe.graph_text import draw_text
from labctl.topology.model import Topology
from tests.observe.graph_labs import (
    SHAPES,
    chain,
    dual_stack,
    lab,
    lan,
    link,
    node,
    star,
    two_clients,
)


def test_the_lab_of_the_first_lesson() -> None:
    assert (
        draw_text(two_clients())
        == """\
two_clients: 3 nodes, 2 links

  client1 ── 10.0.1.0/24 ── server ── 10.0.2.0/24 ── client2

client1  host
│    netns ns_client1
│    gateway 10.0.1.1
└─ veth_c1     10.0.1.2/24 ── server:veth_srv_c1 10.0.1.0/24

server  router, forwards IPv4
│    netns ns_server
│    runs time_server (udp/8080)
├─ veth_srv_c1 10.0.1.1/24 ── client1:veth_c1    10.0.1.0/24
└─ veth_srv_c2 10.0.2.1/24 ── client2:veth_c2    10.0.2.0/24

client2  host
│    netns ns_client2
│    gateway 10.0.2.1
└─ veth_c2     10.0.2.2/24 ── server:veth_srv_c2 10.0.2.0/24
"""
    )


def test_a_terminal_without_box_drawing_gets_ascii() -> None:
    assert (
        draw_text(dual_stack(), ascii_only=True)
        == """\
dual-stack: 3 nodes, 2 links

  client -- 10.0.1.0/24 -- router -- 10.0.2.0/24 -- server

client  host
|    netns ns-client
|    gateway 10.0.1.1
`- eth0 10.0.1.2/24  -- router:eth0 10.0.1.0/24  fd00:1::/64
        fd00:1::2/64

router  router, forwards IPv4 and IPv6
|    netns ns-router
|- eth0 10.0.1.1/24  -- client:eth0 10.0.1.0/24  fd00:1::/64
|       fd00:1::1/64
`- eth1 10.0.2.1/24  -- server:eth0 10.0.2.0/24  fd00:2::/64  mtu 1400
        fd00:2::1/64

server  host
|    netns ns-server
`- eth0 10.0.2.2/24  -- router:eth1 10.0.2.0/24  fd00:2::/64  mtu 1400
        fd00:2::2/64
"""
    )


def test_a_switch_and_its_ports() -> None:
    assert (
        draw_text(lan(2))
        == """\
lan: 3 nodes, 2 links

  h1 ──── switch ──── h2

switch  switch
│    netns ns-switch
│    subnet 10.0.0.0/24
├─ p1               ── h1:eth0
└─ p2               ── h2:eth0

h1  host
│    netns ns-h1
└─ eth0 10.0.0.1/24 ── switch:p1

h2  host
│    netns ns-h2
└─ eth0 10.0.0.2/24 ── switch:p2
"""
    )


@pytest.mark.parametrize("topology", SHAPES.values(), ids=SHAPES)
def test_every_interface_is_there_with_its_address_and_its_peer(topology: Topology) -> None:
    text = draw_text(topology)
    for wire in topology.links:
        for end, peer in (wire[:2], wire[1::-1]):
            assert any(
                {end.interface, f"{peer.node}:{peer.interface}", *end.addresses[:1]}
                <= set(line.split())
                for line in text.splitlines()
            )


def test_only_a_chain_that_fits_into_a_terminal_is_drawn_as_one_line() -> None:
    assert "client ── 10.0.0.0/24 ── server" in draw_text(chain(2))
    assert "  client ──" not in draw_text(chain(30))
    assert "client1 ──" not in draw_text(star(5))


def test_a_node_without_links_is_still_listed() -> None:
    assert draw_text(lab("one", [node("spare")])) == (
        "one: 1 node, 0 links\n\nspare  host\n     netns ns-spare\n"
    )


def test_a_link_between_two_interfaces_of_one_node_shows_both() -> None:
    text = draw_text(lab("loop", [node("a")], [link("a:x 10.0.0.1/24", "a:y 10.0.0.2/24")]))
    assert "├─ x 10.0.0.1/24 ── a:y 10.0.0.0/24" in text
    assert "└─ y 10.0.0.2/24 ── a:x 10.0.0.0/24" in text
