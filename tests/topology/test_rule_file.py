from pathlib import Path

import pytest

from labctl.errors import LabError, LabErrors
from labctl.topology.rule_file import load_rules, parse_rules, rules_from
from labctl.topology.rules import Rule


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("a->b: [{drop: {packets: 3}}]")

    [direction] = load_rules(str(path)).directions

    assert direction.rules == (Rule("drop", packets=((3, 3),), where=f"{path}:1"),)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "rules.yaml:1: the rule file is empty"),
        (b"# nothing yet\n\n", "rules.yaml:1: the rule file is empty"),
        (b"a->b:\n - \xff", "rules.yaml:2: the rule file is not UTF-8 text"),
        (b" " * 1_000_001, "rules.yaml: the rule file has more than 1000000 bytes"),
    ],
)
def test_what_cannot_be_rules_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(LabError) as raised:
        parse_rules(content, "rules.yaml")

    assert str(raised.value) == said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing.yaml", "the rule file cannot be read: no such file or directory"),
        ("", "the rule file cannot be read: is a directory"),
        ("\0", "the rule file cannot be read: not the name of a file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, said: str) -> None:
    path = f"{tmp_path}/{name}"

    with pytest.raises(LabError) as raised:
        load_rules(path)

    assert (raised.value.problem, raised.value.where) == (said, path)


def test_plain_values_are_the_same_language() -> None:
    values = {
        "seed": 7,
        "client->server": [{"drop": {"match": "udp", "packets": (3, "5-7"), "p": "10%"}}],
    }
    text = 'seed: 7\nclient->server: [{drop: {match: udp, packets: [3, "5-7"], p: 10%}}]'

    from_values = rules_from(values)
    from_text = parse_rules(text.encode(), "rules.yaml")

    assert from_values.seed == from_text.seed == 7
    assert [str(rule) for rule in from_values.directions[0].rules] == [
        str(rule) for rule in from_text.directions[0].rules
    ]
    assert from_values.directions[0].rules[0].where == "faults"


def test_problems_of_plain_values_name_the_caller_and_no_line() -> None:
    with pytest.raises(LabErrors) as raised:
        rules_from({"a->b": [{"drop": {"every": 0}}, {"hold": {}}]}, where="test_x")

    assert [str(error) for error in raised.value.problems] == [
        'test_x: "every" in the "drop" rule must be a number from 1, not "0"',
        'test_x: a "hold" rule without an end would keep packets for ever',
    ]
