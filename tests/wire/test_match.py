import pytest

from labctl.errors import LabErrors
from labctl.topology.rules import DirectionRules, Rule, RuleFile
from labctl.wire.match import check_filters, compile_filters
from tests.packets.frames import echo, udp


def test_each_filter_of_the_rules_becomes_a_function() -> None:
    filters = compile_filters([Rule("hold", "udp", until="icmp"), Rule("drop", "udp")])

    assert set(filters) == {"", "udp", "icmp"}
    assert [filters[text](udp()) for text in ("", "udp", "icmp")] == [True, True, False]
    assert filters["icmp"](echo())


def test_no_filter_matches_every_frame() -> None:
    assert compile_filters([])[""](b"")


def test_every_filter_that_does_not_parse_is_reported_at_its_rule() -> None:
    rules = (
        Rule("drop", "udp prt 1", where="rules.yaml:2"),
        Rule("drop", "udp", where="rules.yaml:3"),
        Rule("hold", "udp", until="(icmp", where="rules.yaml:4"),
        Rule("drop", "udp prt 1", where="rules.yaml:5"),
    )

    with pytest.raises(LabErrors) as raised:
        check_filters(RuleFile(None, (DirectionRules("a->b", rules),)))

    assert [str(error) for error in raised.value.problems] == [
        'rules.yaml:2: the filter "udp prt 1" cannot be understood: syntax error',
        'rules.yaml:4: the filter "(icmp" cannot be understood: syntax error',
    ]
