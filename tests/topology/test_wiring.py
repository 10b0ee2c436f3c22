import pytest

from labctl.topology.model import Topology
from tests.topology.lab_files import only_error, problems_of, topology_of, two_hosts


def three(*endpoints: str) -> str:
    links = "".join(f"  - endpoints: {pair}\n" for pair in endpoints)
    return f"name: x\nnodes: {{a: {{}}, b: {{}}, sw: {{kind: bridge}}}}\nlinks:\n{links}"


def interfaces(topology: Topology) -> list[str]:
    ends = [end for link in topology.links for end in (link.left, link.right)]
    return [f"{end.node}:{end.interface}" for end in ends]


def test_an_end_without_an_interface_gets_the_next_eth() -> None:
    topology = topology_of(three("[a, b]", "[b, a]"))

    assert interfaces(topology) == ["a:eth0", "b:eth0", "b:eth1", "a:eth1"]


def test_a_name_that_is_given_later_is_not_given_out() -> None:
    topology = topology_of(three("[a, b]", '["a:eth0", "b:x"]'))

    assert interfaces(topology) == ["a:eth1", "b:eth0", "a:eth0", "b:x"]


def test_a_link_to_a_node_that_does_not_exist_comes_with_the_nearest_one() -> None:
    error = only_error(two_hosts().replace("[client, server]", '["client:eth0", "sever:eth0"]'))

    assert str(error) == 'lab.yaml:5: "sever:eth0" names a node that does not exist'
    assert error.hint == 'did you mean "server"?'


def test_the_same_interface_twice_names_both_lines() -> None:
    [problem] = problems_of(three('["a:x", b]', '["a:x", b]'))

    assert problem == 'lab.yaml:5: node "a" has a second interface "x"; the first is in line 4'


def test_a_link_from_a_node_to_itself_is_refused() -> None:
    error = only_error(three('["a:x", "a:y"]'))

    assert str(error) == 'lab.yaml:4: both ends of link 1 are at node "a"'


@pytest.mark.parametrize(
    ("interface", "said"),
    [
        ("sixteen_letters_", "at most 15 bytes, this one 16"),
        ("ëëëëëëëë", "at most 15 bytes, this one 16"),
        ("a/b", "has no spaces"),
        ("a b", "has no spaces"),
        ("a:b", "has no spaces"),
        ("a%d", "has no spaces"),
        ("", "the name of the interface is missing"),
        ("lo", "the kernel keeps"),
        (".", "the kernel keeps"),
        ("..", "the kernel keeps"),
        ("all", "the kernel keeps"),
        ("default", "the kernel keeps"),
    ],
)
def test_an_interface_name_that_the_kernel_refuses_is_refused_first(
    interface: str, said: str
) -> None:
    assert said in only_error(three(f'["a:{interface}", b]')).problem


def test_an_interface_name_of_fifteen_bytes_is_fine() -> None:
    assert interfaces(topology_of(three('["a:fifteen_letters", b]')))[0] == "a:fifteen_letters"


def test_only_a_bridge_cannot_have_an_interface_br0() -> None:
    assert "is the bridge itself" in only_error(three('[a, "sw:br0"]')).problem
    assert interfaces(topology_of(three('["a:br0", sw]'))) == ["a:br0", "sw:eth0"]


@pytest.mark.parametrize("mtu", ["67", "65536", "big", "-1", "1500.5", "''"])
def test_an_mtu_that_no_link_can_have_is_refused(mtu: str) -> None:
    assert only_error(two_hosts(f"mtu: {mtu}")).problem.startswith("an mtu is a number from 68")


def test_the_smallest_and_largest_mtu_are_fine() -> None:
    for mtu in (68, 65535):
        assert topology_of(two_hosts(f"mtu: {mtu}")).links[0].mtu == mtu


def test_ipv6_needs_a_larger_mtu() -> None:
    error = only_error(two_hosts('mtu: 1279, ipv6: "fd00::/64"'))

    assert str(error) == "lab.yaml:5: IPv6 needs an mtu of at least 1280, this link has 1279"
    assert topology_of(two_hosts('mtu: 1280, ipv6: "fd00::/64"')).links[0].mtu == 1280


def test_mac_addresses_are_taken_as_written_in_small_letters() -> None:
    link = topology_of(two_hosts("mac: [10:20:30:40:50:59, 02:00:00:00:00:0A]")).links[0]

    assert (link.left.mac, link.right.mac) == ("10:20:30:40:50:59", "02:00:00:00:00:0a")


def test_a_mac_address_may_be_left_to_the_kernel() -> None:
    link = topology_of(two_hosts("mac: [null, 02:00:00:00:00:01]")).links[0]

    assert (link.left.mac, link.right.mac) == ("", "02:00:00:00:00:01")


@pytest.mark.parametrize(
    ("mac", "said"),
    [
        ("zz:00:00:00:00:00", "is not a MAC address"),
        ("02-00-00-00-00-01", "is not a MAC address"),
        ("02:00:00:00:00", "is not a MAC address"),
        ("01:00:5e:00:00:01", "cannot have the MAC address"),
        ("ff:ff:ff:ff:ff:ff", "cannot have the MAC address"),
        ("00:00:00:00:00:00", "cannot have the MAC address"),
    ],
)
def test_a_mac_address_that_no_interface_can_have_is_refused(mac: str, said: str) -> None:
    assert said in only_error(two_hosts(f'mac: ["{mac}", null]')).problem


def test_a_mac_address_belongs_to_one_interface() -> None:
    error = only_error(two_hosts("mac: [02:00:00:00:00:01, 02:00:00:00:00:01]"))

    assert error.problem == 'the MAC address "02:00:00:00:00:01" is also in line 5'
