"""all_pairs: whom to ping, and by which address. Pinging itself is tested with `labctl ping`."""

from labctl.observe.pinging import Pair, all_pairs
from tests.plan.labs import lan, two_clients


def test_every_node_pings_every_other() -> None:
    pairs = {(pair.source, pair.target) for pair in all_pairs(two_clients())}
    nodes = ("client1", "client2", "server")
    assert pairs == {(a, b) for a in nodes for b in nodes if a != b}


def test_the_address_on_a_shared_link_is_taken() -> None:
    chosen = {(p.source, p.target): p.address for p in all_pairs(two_clients())}
    assert chosen["client1", "server"] == "10.0.1.1"
    assert chosen["client2", "server"] == "10.0.2.1"


def test_a_switch_is_not_pinged_and_ipv6_only_where_both_have_it() -> None:
    assert all_pairs(lan()) == [Pair("a", "b", "10.0.0.2"), Pair("b", "a", "10.0.0.1")]
