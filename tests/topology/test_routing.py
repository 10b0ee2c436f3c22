import pytest

from labctl.topology.model import Route
from tests.topology.lab_files import only_error, problems_of, switched, topology_of, two_hosts

WIRE = 'ipv4: 10.0.0.0/24, ipv6: "fd00::/64"'


def lab(client: str) -> str:
    return two_hosts(WIRE, client)


def routed(client: str) -> tuple[Route, ...]:
    return topology_of(lab(client)).node("client").routes


def test_a_gateway_is_the_route_to_default() -> None:
    assert routed("gateway: 10.0.0.2") == (Route("default", "10.0.0.2"),)


def test_there_may_be_a_gateway_of_each_family() -> None:
    assert routed('gateway: [10.0.0.2, "fd00::2"]') == (
        Route("default", "10.0.0.2"),
        Route("default", "fd00::2"),
    )


def test_static_routes_follow_the_gateway() -> None:
    client = "routes: [{to: 10.9.0.0/16, via: 10.0.0.2}, {to: 10.8.0.1, via: 10.0.0.2}]"

    assert routed(f"{client}, gateway: 10.0.0.2") == (
        Route("default", "10.0.0.2"),
        Route("10.9.0.0/16", "10.0.0.2"),
        Route("10.8.0.1/32", "10.0.0.2"),
    )


@pytest.mark.parametrize("to", ["default", "0.0.0.0/0"])
def test_the_route_to_everything_is_the_default_route(to: str) -> None:
    assert routed(f"routes: [{{to: {to}, via: 10.0.0.2}}]") == (Route("default", "10.0.0.2"),)


@pytest.mark.parametrize(
    ("client", "said", "hint"),
    [
        ("gateway: server", 'the gateway "server" is not an address', ""),
        ("gateway: 10.0.0.2/24", "is not an address", "write 10.0.0.2, without the prefix length"),
        ("gateway: 10.0.1.1", "is outside the subnets of node", "they are: 10.0.0.0/24"),
        ("gateway: 10.0.0.1", 'is an address of node "client" itself', "name the address of"),
        ("gateway: 10.0.0.7", "no node has the gateway", "there: server has 10.0.0.2"),
        ('gateway: "fd00::7"', "no node has the gateway", "there: server has fd00::2"),
        ('gateway: "fe80::1"', "is outside the subnets", "they are: fd00::/64"),
        ("gateway: [10.0.0.2, 10.0.0.2]", "a second IPv4 default route", "leave one of them out"),
        (
            "gateway: 10.0.0.2, routes: [{to: default, via: 10.0.0.2}]",
            "a second IPv4 default route",
            "leave one of them out",
        ),
        (
            "routes: [{to: 10.9.0.0/16, via: 10.9.0.1}]",
            'the next hop "10.9.0.1" is outside',
            "they",
        ),
        ("routes: [{to: 10.9.0.0/16, via: 10.0.0.9}]", "no node has the next hop", "there: server"),
        ("routes: [{to: 10.9.0.0/16, via: 10.0.0.1}]", "itself", "name the address"),
        ("routes: [{to: somewhere, via: 10.0.0.2}]", "is not a destination", "write `default`"),
        (
            "routes: [{to: 10.9.0.1/16, via: 10.0.0.2}]",
            "is an address in a subnet",
            "the subnet is",
        ),
        ("routes: [{to: 224.0.0.0/4, via: 10.0.0.2}]", "nothing can be routed to", "leave"),
        ('routes: [{to: "fd01::/64", via: 10.0.0.2}]', "cannot go by the IPv4 address", "`via`"),
        (
            "routes: [{to: 10.0.0.0/24, via: 10.0.0.2}]",
            "is in 10.0.0.0/24 itself",
            "leave the route",
        ),
        (
            "routes: [{to: 10.9.0.0/16, via: 10.0.0.2}, {to: 10.9.0.0/16, via: 10.0.0.2}]",
            "a second route to 10.9.0.0/16",
            "leave one",
        ),
    ],
)
def test_a_route_that_leads_nowhere_is_refused(client: str, said: str, hint: str) -> None:
    error = only_error(lab(client))

    assert said in error.problem
    assert error.hint.startswith(hint)
    assert error.where == "lab.yaml:3"


def test_a_gateway_without_any_address_is_refused() -> None:
    error = only_error(two_hosts(client="gateway: 10.0.0.2"))

    assert error.hint == "the node has no IPv4 address"


def test_the_gateway_may_be_on_the_other_side_of_a_switch() -> None:
    wire = "ipv4: 10.0.0.0/24"
    topology = topology_of(switched(wire, wire, client="gateway: 10.0.0.2"))

    assert topology.node("a").routes == (Route("default", "10.0.0.2"),)


def test_a_wrong_address_does_not_make_the_gateway_wrong_too() -> None:
    text = two_hosts("ipv4: [10.0.0.1/24, 10.0.0.2/33]", client="gateway: 10.0.0.2")

    assert [problem.partition(": ")[0] for problem in problems_of(text)] == ["lab.yaml:5"]


@pytest.mark.parametrize("key", ["gateway: 10.0.0.1", "routes: [{to: default, via: 10.0.0.1}]"])
def test_a_switch_has_no_routes(key: str) -> None:
    text = switched("ipv4: 10.0.0.0/24").replace("kind: bridge", f"kind: bridge, {key}")

    assert problems_of(text)[0].startswith('lab.yaml:2: the bridge "switch" has `')
