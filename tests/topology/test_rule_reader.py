import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.errors import LabError, LabErrors
from labctl.topology.rule_file import parse_rules, rules_from
from labctl.topology.rules import DEFAULT_SWAP_TIMEOUT_NS, ENDLESS, KINDS, Kind, Rule
from tests.topology.rule_files import error_of, errors_of, rule_of

MS = 1_000_000
S = 1000 * MS

FILE = """\
seed: 7
client2->server:
  - drop:      {match: "udp port 8080", packets: [3, 5]}
  - swap:      {match: "udp port 8080", packets: [2]}
  - delay:     {match: icmp, packets: "2-4", by: 50ms}
  - duplicate: {match: "tcp[tcpflags] & tcp-syn != 0", every: 10}
  - corrupt:   {match: "udp", p: 10%}
  - hold:      {match: "udp port 8080", packets: [1], until: {match: icmp}, timeout: 2s}
"""


def test_every_kind_of_rule_is_understood() -> None:
    file = parse_rules(FILE.encode(), "rules.yaml")

    assert file.seed == 7
    [direction] = file.directions
    assert (direction.direction, direction.where) == ("client2->server", "rules.yaml:2")
    assert direction.rules == (
        Rule("drop", "udp port 8080", ((3, 3), (5, 5)), where="rules.yaml:3"),
        Rule(
            "swap",
            "udp port 8080",
            ((2, 2),),
            timeout_ns=DEFAULT_SWAP_TIMEOUT_NS,
            where="rules.yaml:4",
        ),
        Rule("delay", "icmp", ((2, 4),), by_ns=50 * MS, where="rules.yaml:5"),
        Rule("duplicate", "tcp[tcpflags] & tcp-syn != 0", every=10, where="rules.yaml:6"),
        Rule("corrupt", "udp", probability=0.1, where="rules.yaml:7"),
        Rule(
            "hold",
            "udp port 8080",
            ((1, 1),),
            until="icmp",
            timeout_ns=2 * S,
            where="rules.yaml:8",
        ),
    )


@pytest.mark.parametrize(
    ("packets", "ranges"),
    [
        ("3", ((3, 3),)),
        ('"2-4"', ((2, 4),)),
        ("2-4", ((2, 4),)),
        ('[9, "5-7", 3]', ((3, 3), (5, 7), (9, 9))),
        ('"5-"', ((5, ENDLESS),)),
        ("[3, 3]", ((3, 3),)),
    ],
)
def test_packets_are_numbers_and_ranges(packets: str, ranges: tuple[tuple[int, int], ...]) -> None:
    assert rule_of(f"drop: {{packets: {packets}}}") == Rule("drop", packets=ranges)


def test_a_rule_without_settings_is_for_every_packet() -> None:
    assert rule_of("drop:") == rule_of("drop: {}") == Rule("drop")


def test_a_swap_ends_by_itself_and_its_timeout_can_be_set() -> None:
    assert rule_of("swap: {timeout: 3s}").timeout_ns == 3 * S
    assert rule_of("swap:").timeout_ns == DEFAULT_SWAP_TIMEOUT_NS


@pytest.mark.parametrize("settings", ["until: {match: icmp}", "timeout: 2s"])
def test_one_end_is_enough_for_a_hold(settings: str) -> None:
    assert rule_of(f"hold: {{{settings}}}").kind == "hold"


@pytest.mark.parametrize(
    ("rule", "problem", "hint"),
    [
        (
            "hold: {match: udp}",
            'a "hold" rule without an end would keep packets for ever',
            "add `timeout: 2s`, or `until: {match: icmp}`, or both",
        ),
        ("delay: {match: udp}", 'a "delay" rule needs "by"', "for example `by: 50ms`"),
        ("dorp: {}", '"dorp" is not a kind of rule', 'did you mean "drop"?'),
        (
            "lose: {}",
            '"lose" is not a kind of rule',
            "known: drop, swap, delay, duplicate, corrupt, hold",
        ),
        (
            "drop",
            'a rule is one word with its settings, not "drop"',
            "for example `drop: {packets: [3]}`; the words are drop, swap, delay, duplicate, "
            "corrupt, hold",
        ),
        (
            "drop:\n    match: udp",
            'a rule is one word with its settings, not "drop", "match"',
            "indent its settings further than `drop:`",
        ),
        (
            "drop: [3]",
            'the settings of the "drop" rule must be a mapping, not a list',
            "for example `drop: {match: icmp, packets: [3]}`",
        ),
        ("drop: {packet: 3}", 'unknown key "packet" in the "drop" rule', 'did you mean "packets"?'),
        (
            "drop: {by: 5ms}",
            'unknown key "by" in the "drop" rule',
            "it belongs to delay; it can have match, packets, every, p",
        ),
        (
            "drop: {match: }",
            '"match" in the "drop" rule must be a filter, and has no value',
            'a filter as for tcpdump, such as "udp port 8080"',
        ),
        (
            "hold: {until: icmp}",
            '"until" in the "hold" rule must be a mapping with "match" alone, not "icmp"',
            "for example `until: {match: icmp}`",
        ),
        (
            "hold: {until: {match: }}",
            '"match" in the "hold" rule must be a filter, and has no value',
            'a filter as for tcpdump, such as "udp port 8080"',
        ),
        ("drop: {packets: [0]}", 'there is no packet 0 in the "drop" rule', "they count from 1"),
        ("drop: {packets: 4-2}", '"4-2" in the "drop" rule runs backwards', 'write "2-4"'),
        ("drop: {packets: []}", '"packets" in the "drop" rule is empty', "leave it out for all"),
        (
            "drop: {packets: [a]}",
            '"packets" in the "drop" rule must be numbers, not "a"',
            'for example [3, 5], "2-4" or [3, "5-7"]; "5-" is all from the fifth',
        ),
        (
            "drop: {every: 0}",
            '"every" in the "drop" rule must be a number from 1, not "0"',
            "`every: 10` is the tenth, the twentieth, ...",
        ),
        (
            "drop: {p: 0.1}",
            '"p" in the "drop" rule must be over 0% and at most 100%, not "0.1"',
            "for example `p: 10%`",
        ),
        (
            "drop: {p: 101%}",
            '"p" in the "drop" rule must be over 0% and at most 100%, not "101%"',
            "for example `p: 10%`",
        ),
        (
            "delay: {by: 50}",
            '"by" in the "delay" rule must be a time with its unit, not "50"',
            "for example 50ms or 2s; at most 60min",
        ),
        (
            "delay: {by: 0s}",
            '"by" in the "delay" rule must be a time with its unit, not "0s"',
            "for example 50ms or 2s; at most 60min",
        ),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_with_a_hint(rule: str, problem: str, hint: str) -> None:
    error = error_of(rule)

    assert (error.problem, error.hint) == (problem, hint)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "rules must be a mapping"),
        ("seed: 7", "there are no rules"),
        ("seed: x\na->b: [drop]", 'the seed must be a whole number, not "x"'),
        ("client: [{drop: }]", '"client" is not a direction'),
        ("a->b->c: [{drop: }]", '"a->b->c" is not a direction'),
        ("a->: [{drop: }]", '"a->" is not a direction'),
        ("a->b: {drop: }", '"a->b" must have a list of rules'),
        ("a->b:", '"a->b" must have a list of rules'),
        (f"a->b: [{'{drop: }, ' * 201}]", '"a->b" has 201 rules, and at most 200 are kept'),
    ],
)
def test_what_is_wrong_with_a_file_is_said(text: str, problem: str) -> None:
    assert errors_of(text)[0].problem == problem


def test_every_problem_is_reported_at_its_line() -> None:
    errors = errors_of(FILE.replace("by: 50ms", "by: 50").replace("10%", "0") + "sede: 3\n")

    assert [error.where for error in errors] == ["rules.yaml:5", "rules.yaml:7"] + [
        "rules.yaml:9"
    ] * 2
    assert errors[2].hint == 'did you mean "seed"?'


_RANGES = st.lists(
    st.tuples(st.integers(1, 50), st.integers(0, 50)).map(lambda pair: (pair[0], sum(pair))),
    max_size=3,
)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """Return a rule as the reader makes them."""
    kind: Kind = draw(st.sampled_from(KINDS))
    timeout_ns = draw(st.integers(1, 10**6)) * 1000
    return Rule(
        kind,
        draw(st.sampled_from(["", "udp port 8080", 'it\'s "quoted" \\ {x}: #', "é"])),
        tuple(sorted(set(draw(_RANGES)))),
        draw(st.integers(1, 20)),
        draw(st.integers(1, 10_000)) / 100 / 100,  # a percentage with two decimals
        draw(st.integers(1, 10**6)) * 1000 if kind == "delay" else 0,
        draw(st.sampled_from(["", "icmp"])) if kind == "hold" else "",
        timeout_ns if kind in ("hold", "swap") else 0,
    )


@pytest.mark.slow
@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(rules())
def test_the_text_of_any_rule_reads_back_as_the_same_rule(rule: Rule) -> None:
    assert rule_of(str(rule)) == rule


_WORDS = st.sampled_from(
    [
        *(*KINDS, "match", "packets", "every", "p", "by", "until", "timeout", "seed", "a->b"),
        *("->", "a->b->c", "0", "3", "2-4", "5-", "-5", "4-2", "10%", "101%", "50ms", "2s", "5"),
        *("udp", "", "~", "\ud800", "\x00", "9" * 30, "1e9", "é", "%", "٣"),
    ]
)
_VALUES = st.recursive(
    _WORDS | st.none() | st.integers() | st.floats() | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS, inner, max_size=4),
    max_leaves=8,
)
_SETTINGS = st.dictionaries(_WORDS, _VALUES, max_size=4)
_LIKELY = st.dictionaries(
    st.sampled_from(["a->b", "seed"]) | _WORDS,
    st.lists(st.dictionaries(st.sampled_from(KINDS), _SETTINGS, max_size=1), max_size=3),
    max_size=2,
)


def expect_rules_or_problems(error: LabError | LabErrors, where: str) -> None:
    for problem in error.problems if isinstance(error, LabErrors) else [error]:
        assert re.fullmatch(where, problem.where), problem.where
        assert problem.problem.isprintable(), repr(problem.problem)
        assert problem.hint.isprintable(), repr(problem.hint)
        assert problem.exit_code == 2


@pytest.mark.slow
@settings(max_examples=600, derandomize=True, deadline=None, database=None)
@given(_LIKELY | _VALUES)
def test_any_values_are_rules_or_problems(values: object) -> None:
    try:
        rules_from({"a->b": values} if not isinstance(values, dict) else values)
    except (LabError, LabErrors) as error:
        expect_rules_or_problems(error, "faults")


@pytest.mark.slow
@settings(max_examples=600, derandomize=True, deadline=None, database=None)
@given(
    st.text(alphabet="adropbyseul:{}[]->, \n\"'%#0123", max_size=60).map(str.encode)
    | st.binary(max_size=80)
    | st.tuples(st.integers(0, len(FILE)), st.integers(0, 8), st.text(max_size=5)).map(
        lambda cut: (FILE[: cut[0]] + cut[2] + FILE[cut[0] + cut[1] :]).encode()
    )
)
def test_any_file_is_rules_or_problems(content: bytes) -> None:
    try:
        file = parse_rules(content, "rules.yaml")
    except (LabError, LabErrors) as error:
        expect_rules_or_problems(error, r"rules\.yaml:[1-9][0-9]*")
    else:
        assert file.directions
