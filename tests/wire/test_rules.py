from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.topology.rule_file import rules_from
from labctl.topology.rules import KINDS, Rule
from labctl.wire import rules as module
from labctl.wire.match import compile_filters
from labctl.wire.rules import Count, Fate, RuleSet
from tests.packets.frames import echo, ipv6, udp, udp_segment
from tests.wire.bounds import assert_rate

MS = 1_000_000
S = 1000 * MS

PING = echo()


class Wire:
    """One direction with rules, its packets named by a number in their payload."""

    def __init__(self, *rules: dict[str, object], seed: int = 7, direction: str = "a->b") -> None:
        file = rules_from({"a->b": rules})
        armed = file.directions[0].rules
        self.fates: list[Fate] = []
        self.rules = RuleSet(
            armed,
            compile_filters(armed),
            seed=seed,
            direction=direction,
            log=self.fates.append,
        )

    def send(self, *numbers: int, at_ns: int = 0) -> list[str]:
        """Offer a UDP packet for each number, 0 for a ping; return what came out."""
        return named(
            frame
            for number in numbers
            for frame in self.rules.offer(packet(number) if number else PING, at_ns)
        )

    def due(self, at_ns: int) -> list[str]:
        return named(self.rules.due(at_ns))

    def done(self) -> list[tuple[int, int, str]]:
        """Return (rule, number of the packet, what was done) of every decision."""
        return [(fate.rule, fate.nth, fate.done) for fate in self.fates]

    def counts(self) -> list[tuple[int, int, int]]:
        return [(count.matched, count.fired, count.completed) for count in self.rules.counts]


def packet(number: int) -> bytes:
    return udp(number.to_bytes(4, "big"))


def named(frames: Iterable[bytes]) -> list[str]:
    return [
        "ping" if frame == PING else str(int.from_bytes(frame[42:46], "big")) for frame in frames
    ]


def test_without_a_match_every_frame_goes_on() -> None:
    wire = Wire({"drop": {"match": "udp port 53"}})

    assert wire.send(1, 0, 2) == ["1", "ping", "2"]
    assert wire.fates == []
    assert wire.counts() == [(0, 0, 0)]


def test_a_drop_takes_the_packets_of_those_numbers() -> None:
    wire = Wire({"drop": {"match": "udp", "packets": [3, 5]}})

    assert wire.send(1, 0, 2, 3, 4, 0, 5, 6) == ["1", "ping", "2", "4", "ping", "6"]
    assert wire.done() == [(1, 3, "dropped"), (1, 5, "dropped")]
    assert wire.rules.counts == [
        Count('drop: {match: "udp", packets: [3, 5]}', matched=6, fired=2, completed=2)
    ]


@pytest.mark.parametrize(
    ("which", "lost"),
    [
        ({}, "123456789"),
        ({"packets": "2-4"}, "234"),
        ({"packets": [3, "5-7"]}, "3567"),
        ({"packets": "8-"}, "89"),
        ({"every": 3}, "369"),
        ({"packets": "4-", "every": 3}, "69"),
    ],
)
def test_all_conditions_of_a_rule_must_hold(which: dict[str, object], lost: str) -> None:
    passed = Wire({"drop": which}).send(*range(1, 10))

    assert passed == [number for number in "123456789" if number not in lost]


def test_a_duplicate_comes_twice() -> None:
    wire = Wire({"duplicate": {"packets": 2}})

    assert wire.send(1, 2, 3) == ["1", "2", "2", "3"]


@pytest.mark.parametrize(
    ("frame", "first"),
    [(udp(b"hello"), 34), (ipv6(17, udp_segment(b"hello")), 54), (bytes(60), 14), (bytes(5), 0)],
)
def test_a_corrupt_packet_has_one_other_bit_where_a_checksum_sees_it(
    frame: bytes, first: int
) -> None:
    places: set[int] = set()
    for seed in range(300):
        wire = Wire({"corrupt": {}}, seed=seed)
        [changed] = wire.rules.offer(frame, 0)
        other = [at for at in range(len(frame)) if changed[at] != frame[at]]
        assert len(changed) == len(frame)
        assert len(other) == 1
        bit = (changed[other[0]] ^ frame[other[0]]).bit_length() - 1
        assert changed[other[0]] ^ frame[other[0]] == 1 << bit
        assert wire.fates[0].detail == f"bit {bit} of byte {other[0]}"
        places.add(other[0])
    assert min(places) == first
    assert max(places) == len(frame) - 1


def test_an_empty_frame_cannot_be_corrupted_and_goes_on() -> None:
    assert Wire({"corrupt": {}}).rules.offer(b"", 0) == [b""]


def test_a_delayed_packet_comes_when_its_time_is_over_and_not_before() -> None:
    wire = Wire({"delay": {"packets": 1, "by": "50ms"}})

    assert wire.send(1, 2, at_ns=5) == ["2"]
    assert wire.rules.next_ns() == 50 * MS + 5
    assert wire.due(50 * MS + 4) == []
    assert wire.counts() == [(2, 1, 0)]
    assert wire.due(50 * MS + 5) == ["1"]
    assert wire.rules.next_ns() is None
    assert wire.counts() == [(2, 1, 1)]
    assert wire.done() == [(1, 1, "delayed"), (1, 1, "released")]


def test_what_is_due_goes_before_the_packet_that_comes_later() -> None:
    wire = Wire({"delay": {"packets": "1-2", "by": "50ms"}})
    wire.send(1, at_ns=0)
    wire.send(2, at_ns=MS)

    assert wire.send(3, at_ns=S) == ["1", "2", "3"]


def test_delayed_packets_come_in_the_order_of_their_times() -> None:
    wire = Wire({"delay": {"packets": 1, "by": "50ms"}}, {"delay": {"packets": 2, "by": "10ms"}})
    wire.send(1, 2, 3)

    assert wire.due(S) == ["2", "1"]


def test_a_swapped_packet_changes_places_with_the_next_that_matches() -> None:
    wire = Wire({"swap": {"match": "udp", "packets": 2}})

    assert wire.send(1, 2, 0, 3, 4) == ["1", "ping", "3", "2", "4"]
    assert wire.done() == [(1, 2, "kept"), (1, 2, "swapped")]
    assert wire.counts() == [(4, 1, 1)]
    assert wire.rules.next_ns() is None


def test_a_swap_pairs_packets_and_the_second_of_a_pair_starts_no_other() -> None:
    assert Wire({"swap": {}}).send(1, 2, 3, 4, 5, 6) == ["2", "1", "4", "3", "6", "5"]
    assert Wire({"swap": {"packets": [2, 3]}}).send(1, 2, 3, 4) == ["1", "3", "2", "4"]


def test_a_swap_with_nothing_after_it_is_let_go_after_its_timeout_and_not_completed() -> None:
    wire = Wire({"swap": {"packets": 2}})

    assert wire.send(1, 2) == ["1"]
    assert wire.rules.next_ns() == S
    assert wire.due(S) == ["2"]
    assert wire.send(3, at_ns=S) == ["3"]
    assert wire.done() == [(1, 2, "kept"), (1, 2, "released")]
    assert wire.fates[1].detail == "nothing followed within 1s"
    assert wire.counts() == [(3, 1, 0)]


def test_a_swap_with_nothing_after_it_is_let_go_when_the_rules_are_taken_away() -> None:
    wire = Wire({"swap": {"packets": 2}})
    wire.send(1, 2)

    assert named(wire.rules.flush(3)) == ["2"]
    assert wire.rules.next_ns() is None
    assert wire.fates[-1].detail == "the rules were taken away"
    assert wire.counts() == [(2, 1, 0)]


def test_a_swap_waits_on_where_the_next_packet_is_lost() -> None:
    wire = Wire({"drop": {"packets": 3}}, {"swap": {"packets": 2}})

    assert wire.send(1, 2, 3, 4) == ["1", "4", "2"]
    assert wire.counts() == [(4, 1, 1), (4, 1, 1)]


def test_a_swap_waits_for_a_packet_that_is_delayed() -> None:
    wire = Wire({"delay": {"packets": 3, "by": "5ms"}}, {"swap": {"packets": 2}})

    assert wire.send(1, 2, 3) == ["1"]
    assert wire.due(5 * MS) == ["3", "2"]


def test_a_held_packet_goes_on_right_after_what_it_waits_for() -> None:
    wire = Wire({"hold": {"match": "udp", "packets": "1-2", "until": {"match": "icmp"}}})

    assert wire.send(1, 2, 3) == ["3"]
    assert wire.rules.next_ns() is None
    assert wire.send(0, 4) == ["ping", "1", "2", "4"]
    assert wire.done() == [(1, 1, "held"), (1, 2, "held"), (1, 1, "released"), (1, 2, "released")]
    assert wire.fates[-1].detail == '"icmp" passed'
    assert wire.counts() == [(4, 2, 2)]


def test_what_a_held_packet_waits_for_has_to_pass() -> None:
    wire = Wire(
        {"drop": {"match": "icmp", "packets": 1}},
        {"hold": {"match": "udp", "packets": 1, "until": {"match": "icmp"}}},
    )

    assert wire.send(1, 0, 0) == ["ping", "1"]


def test_a_held_packet_goes_on_after_its_timeout_at_the_latest() -> None:
    wire = Wire({"hold": {"packets": 1, "until": {"match": "icmp"}, "timeout": "2s"}})
    wire.send(1, 2)

    assert wire.due(2 * S - 1) == []
    assert wire.due(2 * S) == ["1"]
    assert wire.send(0, at_ns=3 * S) == ["ping"]
    assert wire.fates[-1].detail == "after 2s"


def test_a_timeout_that_is_no_longer_needed_wakes_nobody() -> None:
    wire = Wire({"hold": {"packets": 1, "until": {"match": "icmp"}, "timeout": "2s"}})
    wire.send(1, 0)

    assert wire.rules.next_ns() is None
    assert wire.due(3 * S) == []


def test_packets_held_by_several_rules_go_on_in_the_order_they_came() -> None:
    until = {"match": "icmp"}
    wire = Wire(
        {"hold": {"packets": 2, "until": until}}, {"hold": {"packets": "1-3", "until": until}}
    )

    assert wire.send(1, 2, 3, 0) == ["ping", "1", "2", "3"]


def test_what_is_let_go_lets_go_what_waited_for_it() -> None:
    wire = Wire(
        {"hold": {"match": "icmp", "packets": 1, "timeout": "1s"}},
        {"hold": {"match": "udp", "packets": 1, "until": {"match": "icmp"}}},
    )

    assert wire.send(0, 1, 2) == ["2"]
    assert wire.due(S) == ["ping", "1"]


def test_the_first_rule_that_fires_decides_and_every_rule_counts() -> None:
    wire = Wire({"duplicate": {"packets": 2}}, {"drop": {"packets": "2-3"}})

    assert wire.send(1, 2, 3, 4) == ["1", "2", "2", "4"]
    assert wire.counts() == [(4, 1, 1), (4, 1, 1)]


def test_more_frames_than_may_wait_are_dropped_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_KEPT", 2)
    wire = Wire({"hold": {"timeout": "1s"}})

    assert wire.send(1, 2, 3) == []
    assert wire.fates[-1].done == "dropped"
    assert wire.fates[-1].detail == "2 frames wait already"
    assert wire.due(S) == ["1", "2"]


RANDOM: list[dict[str, object]] = [
    {"drop": {"match": "udp", "p": "20%"}},
    {"corrupt": {"match": "udp", "p": "20%"}},
    {"duplicate": {"p": "20%"}},
    {"delay": {"match": "udp", "p": "20%", "by": "5ms"}},
]


def fates(wire: Wire, times_ns: Iterable[int]) -> list[tuple[int, int, str, str]]:
    """Return what was decided about one packet after another, offered at these times."""
    for number, at_ns in enumerate(times_ns, start=1):
        wire.send(number if number % 5 else 0, at_ns=at_ns)
    return [
        (fate.rule, fate.nth, fate.done, fate.detail)
        for fate in wire.fates
        if fate.done != "released"
    ]


@pytest.mark.slow
@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(st.lists(st.integers(0, 20 * MS), min_size=60, max_size=60))
def test_the_same_seed_gives_the_same_fates_whatever_the_timing(gaps: list[int]) -> None:
    times = [sum(gaps[:count]) for count in range(len(gaps))]

    assert fates(Wire(*RANDOM), times) == fates(Wire(*RANDOM), [0] * len(gaps))


def test_seed_and_direction_change_the_fates() -> None:
    times = range(100)

    assert len(fates(Wire(*RANDOM), times)) > 20
    assert fates(Wire(*RANDOM, seed=8), times) != fates(Wire(*RANDOM), times)
    assert fates(Wire(*RANDOM, direction="b->a"), times) != fates(Wire(*RANDOM), times)


def test_the_same_rule_twice_has_dice_of_its_own() -> None:
    rule: dict[str, object] = {"drop": {"p": "50%"}}
    wire = Wire(rule, rule)
    wire.send(*range(1, 1001))

    # A quarter passes both; with the same dice it would be a half.
    assert_rate(sum(fired for _, fired, _ in wire.counts()), 1000, 0.75)


@pytest.mark.slow
def test_a_probability_is_kept_to() -> None:
    wire = Wire({"drop": {"p": "10%"}})
    wire.send(*range(1, 5001))

    assert_rate(wire.counts()[0][1], 5000, 0.1)


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("rule", RANDOM)
def test_another_rule_changes_neither_the_numbers_nor_the_dice_of_a_rule(
    rule: dict[str, object], is_before: bool
) -> None:
    other: dict[str, object] = {"drop": {"packets": 3}}
    both = Wire(other, rule) if is_before else Wire(rule, other)
    times = range(100)

    alone = [fate[1:] for fate in fates(Wire(rule), times) if fate[1] != 3]
    beside = [fate[1:] for fate in fates(both, times) if fate[0] == 1 + is_before and fate[1] != 3]

    assert len(alone) > 5
    assert beside == alone


def test_adding_a_rule_never_renumbers_another() -> None:
    drop: dict[str, object] = {"drop": {"match": "udp", "packets": [2, 4]}}
    others: list[dict[str, object]] = [
        {"drop": {"match": "udp", "packets": [1, 3]}},
        {"hold": {"match": "icmp", "timeout": "1s"}},
        {"duplicate": {"packets": 5}},
    ]
    for other in others:
        for rules, position in (((other, drop), 2), ((drop, other), 1)):
            wire = Wire(*rules)
            wire.send(1, 0, 2, 3, 0, 4, 5, 6)
            assert [fate.nth for fate in wire.fates if fate.rule == position] == [2, 4]


@st.composite
def any_rules(draw: st.DrawFn) -> list[Rule]:
    """Return up to four rules that can be armed, of all kinds."""
    match = st.sampled_from(["", "udp", "icmp"])
    return [
        Rule(
            kind := draw(st.sampled_from(KINDS)),
            draw(match),
            draw(st.sampled_from([(), ((1, 3),), ((2, 2), (5, 9))])),
            draw(st.integers(1, 3)),
            draw(st.sampled_from([0.5, 1.0])),
            draw(st.integers(1, 30)) if kind == "delay" else 0,
            draw(match) if kind == "hold" else "",
            draw(st.integers(1, 30)) if kind in ("hold", "swap") else 0,
        )
        for _ in range(draw(st.integers(1, 4)))
    ]


FILTERS: dict[str, Callable[[bytes], bool]] = {
    "": lambda frame: True,
    "udp": lambda frame: frame != PING,
    "icmp": lambda frame: frame == PING,
}


@pytest.mark.slow
@settings(max_examples=1000, derandomize=True, deadline=None, database=None)
@given(any_rules(), st.lists(st.tuples(st.booleans(), st.integers(0, 10)), max_size=25))
def test_no_frame_is_lost_or_made_but_by_a_rule_that_says_so(
    rules: list[Rule], sent: list[tuple[bool, int]]
) -> None:
    fates: list[Fate] = []
    wire = RuleSet(rules, FILTERS, seed=1, direction="a->b", log=fates.append)
    passed: list[bytes] = []
    now_ns = 0
    for number, (is_ping, gap) in enumerate(sent):
        now_ns += gap
        passed += wire.offer(PING if is_ping else packet(number), now_ns)
        deadline = wire.next_ns()
        assert deadline is None or deadline > now_ns
    passed += wire.flush(now_ns)

    done = [fate.done for fate in fates]
    kept = done.count("delayed") + done.count("held") + done.count("kept")
    assert len(passed) == len(sent) - done.count("dropped") + done.count("duplicated")
    assert done.count("released") + done.count("swapped") == kept
    assert wire.next_ns() is None
    assert wire.due(now_ns + S) == []
    assert sum(count.fired for count in wire.counts) == len(done) - kept
