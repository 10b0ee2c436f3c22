import re
from pathlib import Path

import pytest

from labctl.plan.build import plan_lab
from labctl.plan.host import HostAbilities
from labctl.topology.find import list_labs
from labctl.topology.load import load_topology_uncached
from labctl.topology.model import Endpoint, Link, Node, Program, Route
from labctl.topology.template import template_parameters
from tests.topology.lab_files import LABS

FILES = sorted(LABS.glob("*.yaml*"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_shipped_lab_can_be_planned(path: Path) -> None:
    topology = load_topology_uncached(str(path), {})

    assert plan_lab(topology, HostAbilities())
    assert topology.name == path.name.partition(".")[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_shipped_lab_starts_with_its_purpose_and_a_drawing(path: Path) -> None:
    first, second, *rest = path.read_text().splitlines()

    assert re.fullmatch(r"# [A-Z].*\.", first)
    assert second == "#"
    assert "─" in "".join(rest[:6])


def test_every_shipped_lab_is_listed_with_its_purpose() -> None:
    listed = {name: purpose for name, _, purpose in list_labs([str(LABS.parent)])}

    assert set(listed) == {path.name.partition(".")[0] for path in FILES}
    assert all(listed.values())


def test_the_table_of_the_readme_has_every_shipped_lab() -> None:
    table, _, _ = (LABS / "README.md").read_text().partition("## Writing one")
    rows = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)

    assert set(rows) == {path.name.partition(".")[0] for path in FILES}


def test_the_templates_have_the_parameters_that_the_readme_names() -> None:
    readme = (LABS / "README.md").read_text()
    for path in LABS.glob("*.j2"):
        parameters = template_parameters(path.read_text(), path.name)
        assert parameters
        for parameter in parameters:
            assert f"-p {parameter.name}=" in readme
            assert parameter.default is not None


def test_the_bottleneck_of_the_dumbbell_can_be_narrow() -> None:
    path = str(LABS / "dumbbell.yaml.j2")
    middles = [
        load_topology_uncached(path, parameters).links[0] for parameters in ({}, {"rate": "10mbit"})
    ]
    assert [(link.left.impair, link.right.impair) for link in middles] == [
        ("", ""),
        ("rate 10mbit", "rate 10mbit"),
    ]


def test_two_clients_is_the_lab_of_the_course() -> None:
    topology = load_topology_uncached(str(LABS / "two_clients.yaml"), {})

    assert topology.nodes == (
        Node("client1", "host", "ns_client1", (Route("default", "10.0.1.1"),), ()),
        Node("server", "router", "ns_server", (), ()),
        Node("client2", "host", "ns_client2", (Route("default", "10.0.2.1"),), ()),
    )
    assert topology.links == (
        Link(
            Endpoint("client1", "veth_c1", ("10.0.1.2/24",), ""),
            Endpoint("server", "veth_srv_c1", ("10.0.1.1/24",), ""),
            0,
        ),
        Link(
            Endpoint("client2", "veth_c2", ("10.0.2.2/24",), ""),
            Endpoint("server", "veth_srv_c2", ("10.0.2.1/24",), ""),
            0,
        ),
    )


@pytest.mark.slow
def test_the_star_grows_to_a_thousand_nodes() -> None:
    topology = load_topology_uncached(str(LABS / "star.yaml.j2"), {"clients": "999"})

    assert len(topology.nodes) == 1000
    assert topology.nodes[-1].routes == (Route("default", "10.3.231.1"),)
    assert topology.links[-1].left == Endpoint("server", "eth998", ("10.3.231.1/24",), "")
    assert topology.links[-1].right == Endpoint("client999", "eth0", ("10.3.231.2/24",), "")


@pytest.mark.parametrize("routers", [1, 2, 9])
def test_every_router_of_the_chain_knows_every_network(routers: int) -> None:
    topology = load_topology_uncached(str(LABS / "router_chain.yaml.j2"), {"routers": str(routers)})

    for router in topology.nodes[1:-1]:
        assert router.kind == "router"
        near = {
            end.addresses[0].rpartition(".")[0] + ".0/24" for end in topology.endpoints(router.name)
        }
        far = {route.to for route in router.routes}
        assert near | far == {f"10.0.{network}.0/24" for network in range(routers + 1)}
        assert not near & far


def test_the_dumbbell_has_one_link_in_the_middle() -> None:
    topology = load_topology_uncached(str(LABS / "dumbbell.yaml.j2"), {"pairs": "3"})

    assert [(link.left.node, link.right.node) for link in topology.links[:1]] == [
        ("left_router", "right_router")
    ]
    assert len(topology.links) == 7


def test_the_hosts_of_the_lan_share_a_subnet() -> None:
    topology = load_topology_uncached(str(LABS / "lan.yaml"), {})

    assert [link.left.addresses for link in topology.links] == [
        ("10.0.0.1/24",),
        ("10.0.0.2/24",),
        ("10.0.0.3/24",),
    ]
    assert topology.node("switch").kind == "bridge"


def test_dual_stack_speaks_ipv6_as_well() -> None:
    topology = load_topology_uncached(str(LABS / "dual_stack.yaml"), {})

    assert topology.uses_ipv6()
    assert [route.via for route in topology.node("client2").routes] == ["10.0.2.1", "fd00:0:0:2::1"]


def test_the_time_server_is_waited_for() -> None:
    assert load_topology_uncached(str(LABS / "time_server.yaml"), {}).programs == (
        Program(
            "time_server",
            "server",
            ("time_server", "0.0.0.0", "8080"),
            "listening udp/8080",
            5.0,
        ),
    )
