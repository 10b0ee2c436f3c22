import pytest

from labctl.errors import LabErrors
from labctl.topology.rule_directions import PlacedRules, place_rules
from labctl.topology.rule_file import parse_rules
from labctl.topology.rules import Rule
from tests.topology.lab_files import topology_of

LAB = topology_of(
    "name: lab\n"
    "nodes: [client, server, printer, lonely]\n"
    "links:\n"
    "  - endpoints: ['client:eth0', 'server:eth0']\n"
    "  - endpoints: ['client:eth1', 'server:eth1']\n"
    "  - endpoints: ['printer:eth0', 'server:eth2']\n"
)


def placed(*directions: str) -> list[PlacedRules]:
    text = "".join(f"{direction}: [{{drop: }}]\n" for direction in directions)
    return place_rules(parse_rules(text.encode(), "rules.yaml"), LAB)


def problems(*directions: str) -> list[tuple[str, str]]:
    with pytest.raises(LabErrors) as raised:
        placed(*directions)
    return [(str(error), error.hint) for error in raised.value.problems]


def test_each_direction_finds_its_link() -> None:
    there, back = placed("printer->server", "server -> printer")

    assert there == PlacedRules(
        2, True, "printer:eth0->server:eth2", (Rule("drop", where="rules.yaml:1"),)
    )
    assert (back.link, back.is_from_left) == (2, False)
    assert back.name == "server:eth2->printer:eth0"


def test_an_interface_tells_two_links_between_the_same_nodes_apart() -> None:
    [one] = placed("client:eth1->server")
    [other] = placed("server->client:eth0")

    assert (one.link, other.link) == (1, 0)


def test_the_name_is_the_same_however_the_direction_was_written() -> None:
    assert placed("printer->server")[0].name == placed("printer:eth0->server:eth2")[0].name


def test_two_links_that_could_be_meant_are_refused_with_both_names() -> None:
    assert problems("client->server") == [
        (
            'rules.yaml:1: "client->server" means 2 links',
            'name the interfaces: "client:eth0->server:eth0", "client:eth1->server:eth1"',
        )
    ]


def test_every_direction_that_is_none_is_reported() -> None:
    assert problems(
        "clint->server",
        "client:eth9->server",
        "client->printer",
        "lonely->server",
        "printer->server",
        "printer:eth0->server",
    ) == [
        ('rules.yaml:1: there is no node "clint"', 'did you mean "client"?'),
        ('rules.yaml:2: the node "client" has no interface "eth9"', 'did you mean "eth1"?'),
        (
            'rules.yaml:3: there is no link from "client" to "printer"',
            'rules are for one link each; "client" has links to server',
        ),
        (
            'rules.yaml:4: there is no link from "lonely" to "server"',
            '"lonely" has no links',
        ),
        (
            'rules.yaml:6: "printer:eth0->server" is the same direction as "printer->server" '
            "in rules.yaml:5",
            "join their rules under one of them",
        ),
    ]
