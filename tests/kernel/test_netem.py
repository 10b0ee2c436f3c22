"""The options of netem: those that tc sends, nothing left out, read back as they were asked for."""

import itertools
import json
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.errors import LabErrors
from labctl.kernel import netem
from labctl.kernel.netlink import attributes
from labctl.topology.impairment import (
    Chance,
    Delay,
    Distribution,
    GilbertElliotLoss,
    Impairment,
    RandomLoss,
    Rate,
    Reorder,
    Slot,
    StateLoss,
)
from labctl.topology.impairment_words import parse_impairment

BY_TC: dict[str, str] = json.loads(Path(__file__).with_name("netem_of_tc.json").read_text())
"""The words, and the options that tc sends for them; made by record_netem_of_tc.py."""

TABLE = (-8192, -100, 0, 8191)

MS = 1_000_000
QOPT_BYTES = 24
CORR, DELAY_DIST, LOSS, LATENCY64, JITTER64, SLOT_DIST = 1, 2, 5, 10, 11, 13

MEANINGS = {
    "limit 5": Impairment(limit=5),
    "delay 100ms": Impairment(Delay(100 * MS)),
    "delay 100ms 10ms": Impairment(Delay(100 * MS, 10 * MS)),
    "delay 100ms 10ms 25%": Impairment(Delay(100 * MS, 10 * MS, 0.25)),
    "delay 10us 5us": Impairment(Delay(10_000, 5_000)),
    "delay 274s 2s": Impairment(Delay(274_000 * MS, 2000 * MS)),
    "delay 100ms 10ms distribution normal": Impairment(Delay(100 * MS, 10 * MS, 0.0, "normal")),
    "delay 100ms 10ms 5% distribution paretonormal": Impairment(
        Delay(100 * MS, 10 * MS, 0.05, "paretonormal")
    ),
    "loss 1%": Impairment(loss=RandomLoss(0.01)),
    "loss 40%": Impairment(loss=RandomLoss(0.4)),
    "loss 100%": Impairment(loss=RandomLoss(1.0)),
    "loss 0.0001%": Impairment(loss=RandomLoss(0.000001)),
    "loss random 1% 25%": Impairment(loss=RandomLoss(0.01, 0.25)),
    "loss 10% ecn": Impairment(loss=RandomLoss(0.1), ecn=True),
    "loss state 1%": Impairment(loss=StateLoss(0.01, 0.99, 0.0, 1.0, 0.0)),
    "loss state 1% 20%": Impairment(loss=StateLoss(0.01, 0.2, 0.0, 1.0, 0.0)),
    "loss state 1% 20% 30% 40% 5%": Impairment(loss=StateLoss(0.01, 0.2, 0.3, 0.4, 0.05)),
    "loss gemodel 1%": Impairment(loss=GilbertElliotLoss(0.01, 0.99, 1.0, 0.0)),
    "loss gemodel 1% 10%": Impairment(loss=GilbertElliotLoss(0.01, 0.1, 1.0, 0.0)),
    "loss gemodel 1% 10% 70%": Impairment(loss=GilbertElliotLoss(0.01, 0.1, 0.7, 0.0)),
    "loss gemodel 1% 10% 70% 0.1%": Impairment(loss=GilbertElliotLoss(0.01, 0.1, 0.7, 0.001)),
    "duplicate 1%": Impairment(duplicate=Chance(0.01)),
    "loss 2% 25% duplicate 1% 5%": Impairment(
        loss=RandomLoss(0.02, 0.25), duplicate=Chance(0.01, 0.05)
    ),
    "corrupt 0.1%": Impairment(corrupt=Chance(0.001)),
    "corrupt 0.1% 3%": Impairment(corrupt=Chance(0.001, 0.03)),
    "delay 10ms reorder 25%": Impairment(Delay(10 * MS), reorder=Reorder(0.25)),
    "delay 10ms reorder 25% 50% gap 5": Impairment(
        Delay(10 * MS), reorder=Reorder(0.25, 0.5, gap=5)
    ),
    "rate 1mbit": Impairment(rate=Rate(125_000)),
    "rate 1mbit 20": Impairment(rate=Rate(125_000, 20)),
    "rate 1mbit -14 100 -5": Impairment(rate=Rate(125_000, -14, 100, -5)),
    "rate 40gbit 20": Impairment(rate=Rate(5_000_000_000, 20)),
    "slot 1ms": Impairment(slot=Slot(MS, MS)),
    "slot 800us 1ms packets 32 bytes 64k": Impairment(
        slot=Slot(800_000, MS, packets=32, bytes=65536)
    ),
    "slot distribution pareto 800us 100us packets 3": Impairment(
        slot=Slot(distribution="pareto", delay_ns=800_000, jitter_ns=100_000, packets=3)
    ),
    "delay 50ms 20ms 10% distribution pareto loss 3% duplicate 2% corrupt 1% reorder 5% rate 5mbit"
    " limit 200": Impairment(
        Delay(50 * MS, 20 * MS, 0.1, "pareto"),
        RandomLoss(0.03),
        duplicate=Chance(0.02),
        corrupt=Chance(0.01),
        reorder=Reorder(0.05),
        rate=Rate(625_000),
        limit=200,
    ),
}


def table(distribution: Distribution) -> Sequence[int] | None:
    return None if distribution == "uniform" else TABLE


def parsed(options: bytes) -> dict[int, bytes]:
    return dict(attributes(options, QOPT_BYTES))


def test_every_recorded_form_is_compared() -> None:
    assert set(MEANINGS) == set(BY_TC)


@pytest.mark.parametrize("words", BY_TC)
def test_the_words_mean_what_is_compared(words: str) -> None:
    assert parse_impairment(words.split()) == MEANINGS[words]


@pytest.mark.parametrize("words", BY_TC)
def test_tc_sends_the_same(words: str) -> None:
    by_tc = bytes.fromhex(BY_TC[words])
    ours = netem.encode(MEANINGS[words], is_change=False, table=table)
    assert ours[:QOPT_BYTES] == by_tc[:QOPT_BYTES]
    sent, sent_by_tc = parsed(ours), parsed(by_tc)
    assert {kind: sent[kind] for kind in sent_by_tc} == sent_by_tc
    # What tc leaves out is off in a new netem; we say so, as a change needs it.
    more = {kind: raw for kind, raw in sent.items() if kind not in sent_by_tc}
    for kind, field in ((LATENCY64, 0), (JITTER64, 5)):
        assert struct.unpack("q", more.pop(kind))[0] // 64 == struct.unpack_from("6I", by_tc)[field]
    assert not any(map(any, more.values()))


def test_no_impairment_is_as_long_as_a_worse_one() -> None:
    """What one message sets, the next must be able to take away."""
    everything = Impairment(
        Delay(MS, MS, 0.1),
        RandomLoss(0.1, 0.1),
        True,
        Chance(0.1, 0.1),
        Chance(0.1, 0.1),
        Reorder(0.1, 0.1, 3),
        Rate(2**33, 1, 2, 3),
        Slot(1, 2, packets=3, bytes=4),
    )
    assert [*parsed(netem.encode(Impairment(), is_change=False, table=table))] == [
        *parsed(netem.encode(everything, is_change=False, table=table))
    ]


def test_a_correlation_of_duplicates_alone_is_sent() -> None:
    # tc 6.1 leaves it out where no other correlation is asked for.
    options = netem.encode(Impairment(duplicate=Chance(0.1, 0.5)), is_change=False, table=table)
    assert struct.unpack("3I", parsed(options)[CORR]) == (0, 0, 0x8000_0000)


def test_times_that_tc_cannot_send_are_sent_to_the_nanosecond() -> None:
    options = netem.encode(Impairment(Delay(1_000_000_000_007, 3)), is_change=False, table=table)
    assert struct.unpack("q", parsed(options)[LATENCY64]) == (1_000_000_000_007,)
    assert struct.unpack("q", parsed(options)[JITTER64]) == (3,)
    assert struct.unpack_from("I", options) == (0xFFFF_FFFF,)


def test_a_seed_is_sent_only_where_one_was_asked_for() -> None:
    assert (
        parsed(netem.encode(Impairment(seed=2**64 - 1), is_change=False, table=table))[14]
        == b"\xff" * 8
    )
    assert 14 not in parsed(netem.encode(Impairment(), is_change=False, table=table))


def test_a_change_takes_distributions_away_by_uniform_ones() -> None:
    sent = parsed(netem.encode(Impairment(), is_change=True, table=table))
    for kind in (DELAY_DIST, SLOT_DIST):
        numbers = struct.unpack(f"{len(sent[kind]) // 2}h", sent[kind])
        assert {after - before for before, after in itertools.pairwise(numbers)} == {2}
        assert sum(numbers) == 0
        assert 8190 <= max(numbers) <= 8192


def test_a_change_to_another_distribution_sends_that_one() -> None:
    change = netem.encode(Impairment(Delay(MS, MS, 0.0, "normal")), is_change=True, table=table)
    assert parsed(change)[DELAY_DIST] == struct.pack("4h", *TABLE)


def test_the_longest_options_fit_into_one_attribute() -> None:
    longest = Impairment(
        Delay(MS, MS, 0.0, "normal"), slot=Slot(distribution="pareto", delay_ns=1, jitter_ns=1)
    )
    assert len(netem.encode(longest, is_change=True)) < 2**16 - 4


@pytest.mark.parametrize("words", BY_TC)
def test_what_was_sent_is_read_back_as_it_was_asked_for(words: str) -> None:
    asked = MEANINGS[words]
    shown = netem.decode(netem.encode(asked, is_change=True, table=table))
    assert netem.as_asked(asked, shown) == asked
    # By the numbers alone, too, but for what the kernel never tells.
    slot = asked.slot and asked.slot._replace(distribution=asked.slot.distribution and "uniform")
    delay = asked.delay and asked.delay._replace(distribution="uniform")
    assert shown == asked._replace(delay=delay, slot=slot)


def test_options_of_a_kernel_without_64_bit_times_are_read() -> None:
    options = bytes.fromhex(BY_TC["delay 100ms 10ms 25%"])
    assert netem.decode(options) == Impairment(Delay(100 * MS, 10 * MS, 0.25))


@settings(deadline=None)
@given(st.integers(0, 10**9))
def test_any_share_of_nine_digits_is_read_back_exactly(billionths: int) -> None:
    probability = billionths / 10**9
    sent = netem.encode(Impairment(corrupt=Chance(probability)), is_change=False, table=table)
    assert netem.decode(sent).corrupt == (Chance(probability) if billionths else None)


def test_another_impairment_than_the_one_asked_for_is_told() -> None:
    asked = Impairment(Delay(MS, MS, 0.0, "normal"))
    by_hand = Impairment(Delay(2 * MS, MS))
    assert netem.as_asked(asked, by_hand) == by_hand


def test_a_seed_that_the_kernel_does_not_know_is_told() -> None:
    assert netem.as_asked(Impairment(seed=7), Impairment(seed=None)).seed is None


def test_a_seed_that_nobody_asked_for_is_not_shown() -> None:
    assert netem.as_asked(Impairment(), Impairment(seed=4711)) == Impairment()


@pytest.mark.parametrize(
    ("impairment", "problem"),
    [
        (Impairment(limit=2**32), "netem cannot carry limit 4294967296"),
        (Impairment(Delay(2**63)), "netem cannot carry delay 9223372036854775808ns"),
        (Impairment(Delay(0, 3 * 10**9)), "netem cannot carry jitter 3000000000ns"),
        (Impairment(rate=Rate(1, 2**31)), "netem cannot carry rate packet overhead 2147483648"),
        (Impairment(rate=Rate(2**64)), "netem cannot carry rate 18446744073709551616 bytes/s"),
        (Impairment(slot=Slot(packets=2**31)), "netem cannot carry slot packets 2147483648"),
        (Impairment(seed=-1), "netem cannot carry seed -1"),
    ],
)
def test_what_netem_would_change_in_silence_is_refused(
    impairment: Impairment, problem: str
) -> None:
    with pytest.raises(LabErrors) as caught:
        netem.encode(impairment, is_change=False, table=table)
    [error] = caught.value.problems
    assert error.problem == problem
    assert "--impairments wire" in error.hint


def test_everything_that_does_not_fit_is_told_at_once() -> None:
    with pytest.raises(LabErrors) as caught:
        netem.encode(Impairment(limit=-1, seed=-1), is_change=False, table=table)
    assert len(caught.value.problems) == 2
