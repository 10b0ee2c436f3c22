import pytest

from tests.topology.lab_files import (
    addresses,
    errors_of,
    only_error,
    problems_of,
    switched,
    topology_of,
    two_hosts,
    two_wires,
)


def test_a_pair_is_for_the_left_and_the_right_end() -> None:
    assert addresses(topology_of(two_hosts("ipv4: [10.0.0.7/24, 10.0.0.3/24]"))) == [
        ("client", "10.0.0.7/24"),
        ("server", "10.0.0.3/24"),
    ]


def test_null_leaves_an_end_without_an_address() -> None:
    assert addresses(topology_of(two_hosts("ipv4: [null, 10.0.0.3/24]"))) == [
        ("server", "10.0.0.3/24")
    ]


@pytest.mark.parametrize(
    ("family", "subnet", "left", "right"),
    [
        ("ipv4", "10.0.0.0/24", "10.0.0.1/24", "10.0.0.2/24"),
        ("ipv4", "10.0.0.0/31", "10.0.0.0/31", "10.0.0.1/31"),
        ("ipv4", "10.0.0.4/30", "10.0.0.5/30", "10.0.0.6/30"),
        ("ipv6", "fd00::/64", "fd00::1/64", "fd00::2/64"),
        ("ipv6", "fd00::2/127", "fd00::2/127", "fd00::3/127"),
    ],
)
def test_a_subnet_is_numbered_from_its_first_host(
    family: str, subnet: str, left: str, right: str
) -> None:
    assert addresses(topology_of(two_hosts(f'{family}: "{subnet}"'))) == [
        ("client", left),
        ("server", right),
    ]


def test_ipv4_comes_before_ipv6() -> None:
    topology = topology_of(two_hosts('ipv6: "fd00::/64", ipv4: 10.0.0.0/24'))

    assert topology.links[0].left.addresses == ("10.0.0.1/24", "fd00::1/64")


def test_ipv6_addresses_are_written_in_their_short_form() -> None:
    topology = topology_of(two_hosts('ipv6: ["FD00:0:0:1::2/64", "fd00:0000::1:0:0:0:9/64"]'))

    assert topology.links[0].left.addresses == ("fd00:0:0:1::2/64",)


def test_numbering_goes_on_across_a_switch() -> None:
    subnet = "ipv4: 10.0.0.0/24"

    assert addresses(topology_of(switched(subnet, subnet, subnet))) == [
        ("a", "10.0.0.1/24"),
        ("b", "10.0.0.2/24"),
        ("c", "10.0.0.3/24"),
    ]


def test_numbering_goes_on_across_two_switches_and_past_given_addresses() -> None:
    text = """\
name: x
nodes: {a: , b: , c: , s1: {kind: bridge}, s2: {kind: bridge}}
links:
  - {endpoints: [a, s1], ipv4: 10.0.0.0/24}
  - {endpoints: [s1, s2]}
  - {endpoints: [s2, b], ipv4: [10.0.0.2/24]}
  - {endpoints: [s2, c], ipv4: 10.0.0.0/24}
"""
    assert addresses(topology_of(text)) == [
        ("a", "10.0.0.1/24"),
        ("b", "10.0.0.2/24"),
        ("c", "10.0.0.3/24"),
    ]


@pytest.mark.parametrize("pair", ["[10.0.0.9/24]", "[10.0.0.9/24, null]"])
def test_one_address_is_enough_beside_a_switch(pair: str) -> None:
    assert addresses(topology_of(switched(f"ipv4: {pair}"))) == [("a", "10.0.0.9/24")]


def test_one_address_is_not_enough_between_two_hosts() -> None:
    error = only_error(two_hosts("ipv4: [10.0.0.1/24]"))

    assert str(error) == "lab.yaml:5: link 1 has two ends and one IPv4 address"


def test_a_switch_takes_no_address() -> None:
    error = only_error(switched("ipv4: [10.0.0.1/24, 10.0.0.2/24]"))

    assert error.problem == '"10.0.0.2/24" is for the bridge "switch", which has no addresses'


@pytest.mark.parametrize(
    ("family", "subnet", "node"),
    [("ipv4", "10.0.0.1/32", "server"), ("ipv6", "fd00::1/128", "server")],
)
def test_a_subnet_that_is_too_small_is_refused(family: str, subnet: str, node: str) -> None:
    error = only_error(two_hosts(f'{family}: "{subnet}"'))

    assert error.problem == f'the subnet "{subnet}" has no address left for node "{node}"'


def test_a_subnet_that_is_too_small_for_its_switch_is_refused() -> None:
    subnet = "ipv4: 10.0.0.0/30"

    assert problems_of(switched(subnet, subnet, subnet)) == [
        'lab.yaml:6: the subnet "10.0.0.0/30" has no address left for node "c"'
    ]


def test_a_subnet_with_host_bits_comes_with_the_subnet() -> None:
    error = only_error(two_hosts("ipv4: 10.0.0.1/24"))

    assert error.problem == '"10.0.0.1/24" is an address, not a subnet'
    assert error.hint == "the subnet is 10.0.0.0/24; for given addresses write a pair"


@pytest.mark.parametrize(
    ("family", "address", "said"),
    [
        ("ipv4", "10.0.0/24", "is not an IPv4 address"),
        ("ipv4", "10.0.0.256/24", "is not an IPv4 address"),
        ("ipv4", "010.0.0.1/24", "is not an IPv4 address"),
        ("ipv4", "server/24", "is not an IPv4 address"),
        ("ipv4", "10.0.0.1", "has no prefix length"),
        ("ipv4", "10.0.0.1/33", "is not a number from 1 to 32"),
        ("ipv4", "10.0.0.1/0", "is not a number from 1 to 32"),
        ("ipv4", "10.0.0.1/255.255.255.0", "is not a number from 1 to 32"),
        ("ipv4", "10.0.0.1/-1", "is not a number from 1 to 32"),
        ("ipv4", "fd00::1/64", "is an IPv6 address under `ipv4`"),
        ("ipv4", "10.0.0.0/24", "it is the address of the subnet"),
        ("ipv4", "10.0.0.255/24", "it is the broadcast address"),
        ("ipv4", "224.0.0.1/24", "it is a multicast address"),
        ("ipv4", "127.0.0.2/8", "it belongs to the loopback interface"),
        ("ipv4", "0.0.0.0/24", "it means no address"),
        ("ipv4", "0.1.2.3/24", "addresses that start with 0"),
        ("ipv4", "255.255.255.255/32", "it is the broadcast address"),
        ("ipv6", "10.0.0.1/24", "is an IPv4 address under `ipv6`"),
        ("ipv6", "fd00::1/129", "is not a number from 1 to 128"),
        ("ipv6", "fd00::1%eth0/64", "is not an IPv6 address"),
        ("ipv6", "::ffff:10.0.0.1/96", "it is an IPv4 address in IPv6 notation"),
        ("ipv6", "ff02::1/64", "it is a multicast address"),
        ("ipv6", "::1/128", "it belongs to the loopback interface"),
        ("ipv6", "::/64", "it means no address"),
        ("ipv6", "fe80::1/64", "every interface makes its link-local addresses itself"),
    ],
)
def test_an_address_that_no_interface_can_have_is_refused(
    family: str, address: str, said: str
) -> None:
    error = only_error(two_hosts(f'{family}: ["{address}", null]'))

    assert said in error.problem
    assert error.where == "lab.yaml:5"


@pytest.mark.parametrize("pair", ["[10.0.0.0/31, 10.0.0.1/31]", "[10.0.0.4/30, null]"][:1])
def test_a_point_to_point_subnet_has_neither_network_nor_broadcast_address(pair: str) -> None:
    assert len(addresses(topology_of(two_hosts(f"ipv4: {pair}")))) == 2


def test_an_address_that_stands_twice_names_both_ends() -> None:
    text = two_wires("ipv4: [10.0.1.1/24, 10.0.1.2/24]", "ipv4: [10.0.1.3/24, 10.0.1.1/24]")

    assert (
        "lab.yaml:5: printer:eth0 has the address 10.0.1.1 of client:eth0 in line 4"
        in problems_of(text)
    )


def test_subnets_of_two_links_that_overlap_are_refused() -> None:
    text = two_wires("ipv4: 10.0.0.0/16", "ipv4: 10.0.7.0/24")

    assert problems_of(text) == [
        "lab.yaml:5: the subnet 10.0.7.0/24 of link 2 overlaps 10.0.0.0/16 of link 1 (line 4)"
    ]


def test_the_same_subnet_on_two_links_is_refused() -> None:
    text = two_wires("ipv4: [10.0.0.1/24, 10.0.0.2/24]", "ipv4: [10.0.0.3/24, 10.0.0.4/24]")

    assert len(problems_of(text)) == 1


def test_neighbouring_subnets_do_not_overlap() -> None:
    text = two_wires('ipv4: 10.0.0.0/25, ipv6: "fd00::/64"', "ipv4: 10.0.0.128/25")

    assert len(addresses(topology_of(text))) == 6


def test_the_ends_of_a_link_are_in_one_subnet() -> None:
    error = only_error(two_hosts("ipv4: [10.0.1.1/24, 10.0.2.2/24]"))

    assert error.problem.startswith("server:eth0 is in 10.0.2.0/24, and client:eth0")


def test_the_ends_of_a_link_have_the_same_prefix_length() -> None:
    assert len(errors_of(two_hosts("ipv4: [10.0.1.1/24, 10.0.1.2/25]"))) == 1


def test_all_hosts_of_a_switch_are_in_one_subnet() -> None:
    text = switched("ipv4: [10.0.1.1/24]", "ipv4: [10.0.1.2/24]", "ipv4: [10.0.2.3/24]")

    assert [problem.partition(": ")[0] for problem in problems_of(text)] == ["lab.yaml:6"]
