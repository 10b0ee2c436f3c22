import pytest

from labctl.topology.load import load_topology_uncached
from labctl.topology.rules import ENDLESS
from labctl.topology.serial import dump_topology, load_topology_text
from tests.topology.lab_files import LABS, topology_of, two_hosts


@pytest.mark.parametrize("name", ["two_clients.yaml", "dual_stack.yaml", "time_server.yaml"])
def test_a_topology_comes_back_as_it_was(name: str) -> None:
    topology = load_topology_uncached(str(LABS / name), {})
    again = load_topology_text(dump_topology(topology))

    assert again == topology
    assert hash(again) == hash(topology)
    assert again.endpoints("server") == topology.endpoints("server")


def test_what_makes_links_bad_comes_back_too() -> None:
    more = "rules: {seed: 7, client->server: [{hold: {packets: 5-, until: {match: icmp}}}]}\n"
    topology = topology_of(two_hosts("impair: {server: loss 1%}", more=more))
    again = load_topology_text(dump_topology(topology))

    assert again == topology
    assert again.links[0].left.rules[0].packets == ((5, ENDLESS),)
    assert (again.links[0].right.impair, again.seed) == ("loss 1%", 7)
    assert hash(again) == hash(topology)


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '["x", 1, 2, 3]', '["x", [[1]], [], []]'])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        load_topology_text(text)
