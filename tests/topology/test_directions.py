import pytest

from labctl.errors import LabError
from labctl.topology.directions import (
    Direction,
    all_directions,
    directions_between,
    directions_from,
)
from labctl.topology.model import Link, Topology
from tests.plan.labs import end, node, two_clients


def names(directions: list[Direction]) -> list[str]:
    return [direction.name for direction in directions]


def twins() -> Topology:
    """Return two nodes with two links between them, and one with none."""
    links = (Link(end("a:e0"), end("b:e0"), 0), Link(end("a:e1"), end("b:e1"), 0))
    return Topology("twins", (node("a"), node("b"), node("alone")), links, ())


def test_every_link_has_two_directions() -> None:
    assert names(all_directions(two_clients())) == [
        "client1:c1->server:s1",
        "server:s1->client1:c1",
        "client2:c2->server:s2",
        "server:s2->client2:c2",
    ]


def test_a_direction_and_its_opposite_belong_together() -> None:
    direction = all_directions(two_clients())[2]

    assert (direction.source.node, direction.target.node) == ("client2", "server")
    assert direction.opposite.name == "server:s2->client2:c2"
    assert direction.opposite.opposite == direction


def test_a_node_with_one_interface_needs_no_more_words() -> None:
    assert names(directions_from(two_clients(), "client2")) == ["client2:c2->server:s2"]


def test_an_interface_may_be_named() -> None:
    assert names(directions_from(two_clients(), "server:s2")) == ["server:s2->client2:c2"]


@pytest.mark.parametrize(
    ("place", "problem", "hint"),
    [
        ("server", '"server" has several interfaces', "name one of: server:s1 server:s2"),
        ("sever", 'the lab "two_clients" has no node "sever"', 'did you mean "server"?'),
        ("server:s3", '"server" has no interface "s3"', "s1"),
        ("client1:", '"client1" has no interface ""', "it has: c1"),
    ],
)
def test_what_is_no_direction_is_refused(place: str, problem: str, hint: str) -> None:
    with pytest.raises(LabError) as refused:
        directions_from(two_clients(), place)

    assert refused.value.problem == problem
    assert hint in refused.value.hint


def test_a_node_without_links_has_no_directions() -> None:
    with pytest.raises(LabError, match='node "alone" has no links'):
        directions_from(twins(), "alone")


@pytest.mark.parametrize(
    "link", ["client2-server", "server-client2", "client2:c2-server", "server:s2-client2:c2"]
)
def test_a_link_may_be_named_from_either_end(link: str) -> None:
    assert sorted(names(directions_between(two_clients(), link))) == [
        "client2:c2->server:s2",
        "server:s2->client2:c2",
    ]


def test_a_link_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(LabError, match='there is no link "client1-client2"') as refused:
        directions_between(two_clients(), "client1-client2")

    assert "client1-server" in refused.value.hint


def test_one_of_several_links_has_to_be_named() -> None:
    with pytest.raises(LabError, match='several links are "a-b"') as refused:
        directions_between(twins(), "a-b")

    assert refused.value.hint == "name one of: a:e0-b:e0, a:e1-b:e1"
    assert len(directions_between(twins(), "a:e1-b")) == 2
