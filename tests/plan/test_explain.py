"""explain: the steps as a script."""

from labctl.plan.build import plan_lab
from labctl.plan.explain import explain
from labctl.plan.host import HostAbilities
from tests.plan.labs import node, two_clients


def test_a_single_node_is_explained_in_full() -> None:
    topology = two_clients()._replace(name="one", nodes=(node("a"),), links=())
    assert "\n".join(explain("one", plan_lab(topology, HostAbilities(ipv6=False)))) == (
        "#!/bin/sh\n"
        "# What `labctl up one` does, as commands. Run as root.\n"
        "set -e\n"
        "\n"
        "# a network namespace for each node\n"
        "ip netns add ns_a && ip -n ns_a link set lo up\n"
        "\n"
        "# names that resolve inside the lab\n"
        "mkdir -p /etc/netns/ns_a && cat >/etc/netns/ns_a/hosts <<'END'\n"
        "127.0.0.1\tlocalhost\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "# everyone\n"
        "END"
    )


def test_every_heading_stands_once() -> None:
    lines = list(explain("two_clients", plan_lab(two_clients(), HostAbilities())))
    headings = [line for line in lines if line.startswith("# ")]
    assert len(headings) == len(set(headings))


def test_an_impairment_is_a_command_where_there_is_netem_and_a_comment_elsewhere() -> None:
    first, second = two_clients().links
    bad = first._replace(left=first.left._replace(impair="loss 1%"))
    topology = two_clients()._replace(links=(bad, second))

    def last_words(able: HostAbilities) -> list[str]:
        return [line for line in explain("x", plan_lab(topology, able)) if "loss" in line]

    assert last_words(HostAbilities()) == ["tc -n ns_client1 qdisc add dev c1 root netem loss 1%"]
    assert last_words(HostAbilities(netem=False)) == [
        "# labctl's emulator, client1:c1->server:s1: loss 1%"
    ]
