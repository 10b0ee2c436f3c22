import pytest

from labctl.errors import LabError, LabErrors
from labctl.plan.backend import (
    Impairments,
    depends_on_netem,
    detour_names,
    far_names,
    hidden_netns,
    wired_links,
)
from labctl.plan.build import plan_lab
from labctl.plan.host import HostAbilities
from labctl.topology.model import Endpoint, Link, Topology
from labctl.topology.rules import Rule
from tests.plan.labs import two_clients

WITH_NETEM = HostAbilities(ipv6=True, netem=True)
WITHOUT = HostAbilities(ipv6=True, netem=False)


def test_links_are_wired_where_the_kernel_has_no_netem() -> None:
    assert [link.number for link in wired_links(two_clients(), WITHOUT, "auto")] == [0, 1]


def test_links_are_plain_where_the_kernel_has_netem() -> None:
    assert wired_links(two_clients(), WITH_NETEM, "auto") == []
    assert wired_links(two_clients(), WITH_NETEM, "netem") == []


def test_wires_may_be_forced() -> None:
    assert len(wired_links(two_clients(), WITH_NETEM, "wire")) == 2


def test_plain_links_may_be_forced() -> None:
    assert wired_links(two_clients(), WITHOUT, "none") == []


def lab_of(*links: Link) -> Topology:
    return two_clients()._replace(links=links)


def sending(link: Link, **changes: object) -> Link:
    """Return a link whose left end sends like that."""
    left: Endpoint = link.left._replace(**changes)  # type: ignore[arg-type]
    return link._replace(left=left)


FIRST, SECOND = two_clients().links
BAD = sending(FIRST, impair="loss 1%")
RULED = sending(SECOND, rules=(Rule("drop"),))
BAD_AND_RULED = sending(SECOND, rules=(Rule("drop"),), impair="loss 1%")


@pytest.mark.parametrize("impairments", ["auto", "netem", "wire", "none"])
@pytest.mark.parametrize(
    "links", [(), (FIRST,), (BAD,), (RULED,), (BAD_AND_RULED,), (FIRST, RULED), (BAD, RULED)]
)
def test_the_kernel_is_asked_for_netem_where_the_answer_changes_the_plan(
    links: tuple[Link, ...], impairments: Impairments
) -> None:
    topology = lab_of(*links)

    def planned(abilities: HostAbilities) -> object:
        try:
            return plan_lab(topology, abilities, impairments)
        except (LabError, LabErrors) as error:
            return str(error)

    has_effect = planned(WITH_NETEM) != planned(WITHOUT)
    assert depends_on_netem(topology, impairments) is has_effect


def test_netem_cannot_be_forced_where_there_is_none() -> None:
    with pytest.raises(LabError, match="this kernel has no netem") as refused:
        wired_links(two_clients(), WITHOUT, "netem")

    assert refused.value.exit_code == 3
    assert "--impairments wire" in refused.value.hint


def test_hidden_interfaces_have_names_and_numbers_of_their_own() -> None:
    links = wired_links(two_clients(), WITHOUT, "auto")

    names = [name for link in links for name in (link.left_far, link.right_far)]
    names += [name for link in links for name in detour_names(link.number)]
    numbers = [index for link in links for index in (link.left_ifindex, link.right_ifindex)]
    assert len(set(names)) == len(names) == 8
    assert len(set(numbers)) == len(numbers)
    assert min(numbers) > 1  # lo has 1
    assert (links[1].left_far, links[1].right_far) == far_names(1)


def test_hidden_names_fit_for_as_many_links_as_there_can_be() -> None:
    assert all(len(name) <= 15 for name in (*far_names(10**12), *detour_names(10**12)))


def test_the_hidden_namespace_is_called_after_the_lab() -> None:
    assert hidden_netns(two_clients()) == "two_clients-wire"
