import pytest

from labctl.topology.rules import (
    DEFAULT_SWAP_TIMEOUT_NS,
    ENDLESS,
    DirectionRules,
    Rule,
    RuleFile,
    dump_rules,
    duration_text,
    load_rules_text,
)

MS = 1_000_000


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (Rule("drop"), "drop: {}"),
        (
            Rule("drop", "udp port 8080", ((3, 3), (5, 7))),
            'drop: {match: "udp port 8080", packets: [3, "5-7"]}',
        ),
        (Rule("drop", packets=((5, ENDLESS),)), 'drop: {packets: ["5-"]}'),
        (Rule("delay", "icmp", by_ns=50 * MS), 'delay: {match: "icmp", by: 50ms}'),
        (Rule("corrupt", probability=0.125), "corrupt: {p: 12.5%}"),
        (Rule("duplicate", every=10), "duplicate: {every: 10}"),
        (
            Rule("hold", until="icmp", timeout_ns=2000 * MS),
            'hold: {until: {match: "icmp"}, timeout: 2s}',
        ),
        (Rule("swap", timeout_ns=DEFAULT_SWAP_TIMEOUT_NS), "swap: {}"),
        (Rule("swap", timeout_ns=3 * MS), "swap: {timeout: 3ms}"),
    ],
)
def test_a_rule_is_told_as_one_would_write_it(rule: Rule, text: str) -> None:
    assert str(rule) == text


def test_where_a_rule_stands_is_no_part_of_its_text() -> None:
    assert str(Rule("drop", where="rules.yaml:3")) == str(Rule("drop"))


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (50 * MS, "50ms"),
        (2000 * MS, "2s"),
        (1500 * MS, "1500ms"),
        (MS // 2, "0.5ms"),
        (1, "0.000001ms"),
    ],
)
def test_durations_are_exact(ns: int, text: str) -> None:
    assert duration_text(ns) == text


def test_rules_survive_the_way_to_another_process() -> None:
    rule = Rule("hold", "udp", ((1, 2), (4, ENDLESS)), 3, 0.1, 0, "icmp", 5, "rules.yaml:2")
    file = RuleFile(7, (DirectionRules("client->server", (rule, Rule("drop")), "rules.yaml:1"),))

    assert load_rules_text(dump_rules(file)) == file
    with pytest.raises((ValueError, TypeError)):
        load_rules_text("[1]")
