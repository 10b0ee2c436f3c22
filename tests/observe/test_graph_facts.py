from labctl.observe.graph_facts import (
    facts,
    headline,
    kind_words,
    link_labels,
    node_lines,
    program_words,
)
from labctl.topology.model import Program, Route
from labctl.topology.rules import Rule
from tests.observe.graph_labs import dual_stack, lab, lan, link, node, pair, two_clients


def test_a_link_is_labelled_with_its_subnets_and_an_unusual_mtu() -> None:
    assert link_labels(dual_stack()) == [
        ("10.0.1.0/24", "fd00:1::/64"),
        ("10.0.2.0/24", "fd00:2::/64", "mtu 1400"),
    ]


def test_a_link_says_what_makes_it_bad() -> None:
    [good] = pair().links

    def label(left: str, right: str, *rules: Rule) -> tuple[str, ...]:
        bad = good._replace(
            left=good.left._replace(impair=left, rules=rules),
            right=good.right._replace(impair=right),
        )
        [words] = link_labels(pair()._replace(links=(bad,)))
        return words[1:]

    assert label("loss 1%", "loss 1%") == ("loss 1%",)
    assert label("loss 1%", "") == ("from client: loss 1%",)
    assert label("", "delay 5ms", Rule("drop")) == ("from client: 1 rule", "from server: delay 5ms")


def test_two_ends_in_different_subnets_are_both_named() -> None:
    odd = lab("odd", [node("a"), node("b")], [link("a:e 10.0.0.1/24", "b:e 10.0.1.1/16")])
    assert link_labels(odd) == [("10.0.0.0/24", "10.0.0.0/16")]


def test_the_subnet_behind_a_switch_stands_at_the_switch_and_not_at_every_link() -> None:
    topology = lan(3)
    assert link_labels(topology) == [(), (), ()]
    assert node_lines(facts(topology)[0]) == ["netns ns-switch", "subnet 10.0.0.0/24"]


def test_a_node_tells_its_gateway_its_routes_and_its_programs() -> None:
    client, server, _ = facts(two_clients())
    assert node_lines(client) == ["netns ns_client1", "gateway 10.0.1.1"]
    assert node_lines(server) == ["netns ns_server", "runs time_server (udp/8080)"]
    (routed,) = facts(lab("x", [node("r", routes=[Route("10.2.0.0/16", "10.0.0.2")])]))
    assert node_lines(routed) == ["netns ns-r", "route 10.2.0.0/16 via 10.0.0.2"]


def test_a_long_list_of_routes_is_counted_instead() -> None:
    routes = [Route(f"10.{number}.0.0/16", "10.0.0.2") for number in range(30)]
    (fact,) = facts(lab("x", [node("r", routes=routes)]))
    lines = node_lines(fact)
    assert lines[-1] == "and 26 more routes"
    assert len(lines) == 6


def test_a_program_that_waits_for_a_word_in_its_log_is_named_without_a_port() -> None:
    assert program_words(Program("p", "a", ("p",), "log ready", 1.0)) == "p"


def test_a_router_says_what_it_forwards() -> None:
    router = node("r", "router")
    assert kind_words(router, ipv6=False) == "router, forwards IPv4"
    assert kind_words(router, ipv6=True) == "router, forwards IPv4 and IPv6"
    assert kind_words(node("s", "bridge"), ipv6=True) == "switch"


def test_one_is_not_a_plural() -> None:
    assert headline(pair()) == "2 nodes, 1 link"
