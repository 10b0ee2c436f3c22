"""Bad links in the plan: netem where it will do, the wire where it must."""

import pytest

from labctl.errors import LabErrors
from labctl.plan.build import plan_lab
from labctl.plan.host import HostAbilities
from labctl.plan.steps import (
    AssignAddress,
    BringUp,
    BringUpSilent,
    Impair,
    ImpairOnWire,
    StartProgram,
    Step,
)
from labctl.topology.model import Link, Program, Topology
from labctl.topology.rules import Rule
from tests.plan.labs import end, two_clients

NETEM = HostAbilities(netem=True)
NO_NETEM = HostAbilities(netem=False)
DROP = Rule("drop", "icmp", ((3, 3),))


def bad(impair: str = "", *rules: Rule, seed: int | None = None) -> Topology:
    """Return the lab of the tutorial, in which client2 sends badly; and a program of its."""
    first, second = two_clients().links
    left = second.left._replace(impair=impair, rules=rules)
    program = Program("server", "server", ("serve",), "", 5.0)
    links = (first, second._replace(left=left))
    return two_clients()._replace(links=links, programs=(program,), seed=seed)


def of_client2(steps: list[Step]) -> list[type]:
    kinds = (AssignAddress, Impair, BringUp)
    return [type(step) for step in steps if isinstance(step, kinds) and step[0] == "ns_client2"]


def test_netem_is_there_before_the_interface_comes_up() -> None:
    steps = plan_lab(bad("loss 40%"), NETEM)
    assert of_client2(steps) == [AssignAddress, Impair, BringUp]
    assert [step for step in steps if isinstance(step, Impair)] == [
        Impair("ns_client2", "c2", 2, "loss 40%")
    ]
    assert not [step for step in steps if isinstance(step, ImpairOnWire)]


def test_a_perfect_link_gets_no_netem() -> None:
    assert not [step for step in plan_lab(two_clients(), NETEM) if isinstance(step, Impair)]


@pytest.mark.parametrize("able", [NETEM, NO_NETEM])
def test_a_wired_link_is_made_bad_before_it_gets_its_carrier_and_programs_start(
    able: HostAbilities,
) -> None:
    steps = plan_lab(bad("loss 40%"), able, "wire")
    assert of_client2(steps) == [AssignAddress, BringUp]
    silent = [step for step in steps if isinstance(step, BringUpSilent)]
    assert [step.interface for step in silent] == ["w0a", "w0b", "w1a", "w1b"]
    impair = ImpairOnWire(1, True, "client2:c2->server:s2", "loss 40%", (), None)
    assert steps[-4:-1] == [impair, *silent[2:]]
    assert isinstance(steps[-1], StartProgram)


def test_a_link_with_rules_is_wired_even_where_there_is_netem() -> None:
    steps = plan_lab(bad("loss 40%", DROP, seed=7), NETEM)
    assert [step for step in steps if isinstance(step, ImpairOnWire)] == [
        ImpairOnWire(1, True, "client2:c2->server:s2", "loss 40%", (DROP,), 7)
    ]
    assert not [step for step in steps if isinstance(step, Impair)]


def test_beside_a_link_with_rules_the_others_have_netem() -> None:
    topology = bad("", DROP)
    first, second = topology.links
    first = first._replace(right=first.right._replace(impair="delay 5ms"))
    steps = plan_lab(topology._replace(links=(first, second)), NETEM)
    assert [step for step in steps if isinstance(step, Impair)] == [
        Impair("ns_server", "s1", 2, "delay 5ms")
    ]


def test_what_the_wire_cannot_carry_is_refused_with_the_place() -> None:
    topology = bad("rate 1gbit")
    assert plan_lab(topology, NETEM)
    with pytest.raises(LabErrors) as raised:
        plan_lab(topology, NO_NETEM)
    [error] = raised.value.problems
    assert str(error) == "client2:c2: the wire cannot carry a rate of 1gbit"
    assert "at most" in error.hint


def test_every_link_that_cannot_be_bad_is_named() -> None:
    links = (
        Link(end("client1:c1")._replace(impair="loss 1%"), end("server:s1"), 0),
        Link(end("client2:c2"), end("server:s2")._replace(impair="loss 1%"), 0),
    )
    topology = two_clients()._replace(links=links)
    assert plan_lab(topology, NETEM, "none")
    with pytest.raises(LabErrors) as raised:
        plan_lab(topology, NO_NETEM, "none")
    assert [error.where for error in raised.value.problems] == ["client1:c1", "server:s2"]
