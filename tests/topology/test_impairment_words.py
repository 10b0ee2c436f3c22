import os
import subprocess
from shutil import which

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.errors import LabError
from labctl.topology.impairment import (
    PERFECT,
    Chance,
    Delay,
    GilbertElliotLoss,
    Impairment,
    RandomLoss,
    Rate,
    Reorder,
    Slot,
    StateLoss,
)
from labctl.topology.impairment_words import impairment_words, parse_impairment

MS = 1_000_000
US = 1_000


def parsed(words: str) -> Impairment:
    return parse_impairment(words.split())


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ("", PERFECT),
        ("loss 40%", Impairment(loss=RandomLoss(0.4))),
        ("loss 40", Impairment(loss=RandomLoss(0.4))),
        ("loss 0.5", Impairment(loss=RandomLoss(0.005))),
        ("loss random 20% 25%", Impairment(loss=RandomLoss(0.2, 0.25))),
        ("drop 1%", Impairment(loss=RandomLoss(0.01))),
        ("loss 1% ecn", Impairment(loss=RandomLoss(0.01), ecn=True)),
        ("ecn loss 1%", Impairment(loss=RandomLoss(0.01), ecn=True)),
        ("loss state 25%", Impairment(loss=StateLoss(0.25, 0.75, 0, 1, 0))),
        ("loss state 10% 80% 20% 30% 5%", Impairment(loss=StateLoss(0.1, 0.8, 0.2, 0.3, 0.05))),
        ("loss gemodel 25%", Impairment(loss=GilbertElliotLoss(0.25, 0.75, 1, 0))),
        ("loss gemodel 1% 10% 70% 0.1%", Impairment(loss=GilbertElliotLoss(0.01, 0.1, 0.7, 0.001))),
        ("delay 100ms", Impairment(delay=Delay(100 * MS))),
        ("latency 1s", Impairment(delay=Delay(1000 * MS))),
        ("delay 100", Impairment(delay=Delay(100 * US))),
        ("delay 1.5MSecs 300 20", Impairment(delay=Delay(1500 * US, 300 * US, 0.2))),
        ("delay 250ns", Impairment(delay=Delay(250))),
        ("delay 1e3us", Impairment(delay=Delay(MS))),
        (
            "distribution pareto delay 5ms 1ms",
            Impairment(delay=Delay(5 * MS, MS, distribution="pareto")),
        ),
        ("delay 5ms 1ms distribution uniform", Impairment(delay=Delay(5 * MS, MS))),
        (
            "delay 500ms 400ms distribution normal reorder 50%",
            Impairment(
                delay=Delay(500 * MS, 400 * MS, distribution="normal"), reorder=Reorder(0.5)
            ),
        ),
        (
            "reorder 25% 50% gap 5 delay 10ms",
            Impairment(delay=Delay(10 * MS), reorder=Reorder(0.25, 0.5, 5)),
        ),
        (
            "delay 10ms gap 5 reorder 25%",
            Impairment(delay=Delay(10 * MS), reorder=Reorder(0.25, 0, 5)),
        ),
        ("delay 10ms reorder 5% gap 0", Impairment(delay=Delay(10 * MS), reorder=Reorder(0.05))),
        ("dup 1% 2%", Impairment(duplicate=Chance(0.01, 0.02))),
        ("corrupt .5%", Impairment(corrupt=Chance(0.005))),
        ("rate 5kbit 20 100 5", Impairment(rate=Rate(625, 20, 100, 5))),
        ("rate 1mbps -14", Impairment(rate=Rate(1_000_000, -14))),
        ("rate 5KiBit", Impairment(rate=Rate(640))),
        ("rate 8", Impairment(rate=Rate(1))),
        ("slot 800us", Impairment(slot=Slot(800 * US, 800 * US))),
        ("slot 800", Impairment(slot=Slot(800, 800))),
        (
            "slot 1ms 2ms packets 32 bytes 1k",
            Impairment(slot=Slot(MS, 2 * MS, packets=32, bytes=1024)),
        ),
        (
            "slot distribution normal 5ms 1ms",
            Impairment(slot=Slot(distribution="normal", delay_ns=5 * MS, jitter_ns=MS)),
        ),
        ("limit 1k", Impairment(limit=1024)),
        ("seed 18446744073709551615", Impairment(seed=2**64 - 1)),
        ("loss 0% delay 0ms duplicate 0%", PERFECT),
    ],
)
def test_words_mean_what_they_mean_in_tc(words: str, meaning: Impairment) -> None:
    assert parsed(words) == meaning
    assert parse_impairment(impairment_words(meaning)) == meaning


@pytest.mark.parametrize(
    ("words", "where", "problem", "hint"),
    [
        ("losss 4%", "word 1", 'unknown word "losss"', 'did you mean "loss"?'),
        ("delay 5ms lsos 4%", "word 3", 'unknown word "lsos"', 'did you mean "loss"?'),
        ("Delay 5ms", "word 1", 'unknown word "Delay"', 'did you mean "delay"?'),
        ("lo 4%", "word 1", 'unknown word "lo"', ""),
        ("loss 140%", "word 2", '`loss`: the percentage "140%" is over 100%', "from 0% to 100%"),
        ("loss -1%", "word 2", '`loss`: the percentage "-1%" is negative', "from 0% to 100%"),
        ("loss 5% 101", "word 3", '`loss`: the percentage "101" is over 100%', ""),
        ("loss 4%%", "word 2", '`loss`: "4%%" is not a percentage', "such as 40%"),
        ("loss nan", "word 2", '`loss` has no model "nan"', ""),
        ("loss 40 %", "word 3", '"%" stands alone', "write it without the space: 40%"),
        ("delay 500 ms", "word 3", '"ms" stands alone', "write it without the space: 500ms"),
        ("loss", "word 1", "`loss` has no percentage", "such as: loss 40%"),
        ("delay loss 4%", "word 1", "`delay` has no time", "such as: delay 100ms"),
        ("loss gemdel 1%", "word 2", '`loss` has no model "gemdel"', 'did you mean "gemodel"?'),
        ("loss state 60% 60% 50%", "word 5", "`loss`: p31 and p32 are 110% together", ""),
        ("loss state 60% 60% 5% 5% 50%", "word 7", "`loss`: p13 and p14 are 110% together", ""),
        ("loss 1% 2% 3%", "word 4", '"3%" is one value too many for `loss`', ""),
        ("4%", "word 1", '"4%" stands before any word', "such as: loss 40%"),
        ("loss 1% drop 2%", "word 3", "`loss` is said twice", "say `loss` once"),
        ("delay -5ms", "word 2", '`delay`: the time "-5ms" is negative', ""),
        ("delay 5000s", "word 2", '`delay`: the time "5000s" is too long', "4294.967295s"),
        ("delay 9s 3s", "word 3", '`delay`: the jitter "3s" is too long', "2.147483647s"),
        ("delay 5m", "word 2", '`delay`: "5m" is not a time', "s, ms, us or ns"),
        ("delay fast", "word 2", '`delay`: "fast" is not a time', "such as 500ms"),
        ("delay 5ms 5%", "word 3", '`delay`: "5%" stands where the jitter should', "third"),
        ("reorder 5%", "word 1", "`reorder` needs a delay", "such as: delay 10ms reorder 25%"),
        ("delay 5ms gap 3", "word 3", "`gap` needs `reorder`", ""),
        ("delay 5ms distribution normal", "word 3", "`distribution` needs a delay with a", ""),
        (
            "delay 5ms 1ms distribution normla",
            "word 5",
            '`distribution`: there is no distribution "normla"',
            'did you mean "normal"?',
        ),
        ("ecn", "word 1", "`ecn` marks packets that would be lost", "such as: loss 1% ecn"),
        ("rate 5", "word 2", '`rate`: the rate "5" is too low', "at least 8bit"),
        ("rate 5k", "word 2", '`rate`: "5k" is not a rate', "kbit"),
        ("rate 50%", "word 2", '`rate`: "50%" is not a rate', "no speed of its own"),
        ("rate -5mbit", "word 2", '`rate`: the rate "-5mbit" is too low', ""),
        ("rate 5mbit 0 48 -48", "word 5", "`rate`: a cell of 48 bytes less 48 has no", ""),
        ("rate 5mbit 1.5", "word 3", '`rate`: "1.5" is not a whole number', ""),
        ("slot 2ms 1ms", "word 3", "`slot`: the longest time is shorter", ""),
        ("slot 0", "word 2", "`slot`: a slot of no time does nothing", ""),
        ("slot packets 5", "word 2", '`slot`: "packets" is not a time', ""),
        ("limit 0", "word 2", '`limit`: the limit "0" is out of range', "from 1 to"),
        ("limit -1", "word 2", '`limit`: the limit "-1" is out of range', ""),
        ("seed x", "word 2", '`seed`: "x" is not a whole number', ""),
    ],
)
def test_a_bad_word_is_refused_with_what_to_do(
    words: str, where: str, problem: str, hint: str
) -> None:
    with pytest.raises(LabError) as caught:
        parsed(words)
    assert caught.value.where == where
    assert caught.value.problem.startswith(problem)
    assert hint in caught.value.hint


def test_words_come_back_in_the_order_of_tc() -> None:
    words = (
        "limit 50 delay 1.5ms 0.25us 20% distribution normal loss state 10% 80% 20% 30% 5% ecn "
        "duplicate 1% reorder 25% 50% gap 5 corrupt 0.1% rate 1500kbit -14 48 5 "
        "slot 1ms 2ms packets 3 bytes 4 seed 7"
    )
    assert " ".join(impairment_words(parsed(words))) == words


def test_a_small_percentage_is_written_without_an_exponent() -> None:
    assert impairment_words(parsed("corrupt 0.00001%")) == ["corrupt", "0.00001%"]


percents = st.decimals(0, 100, places=4).map(lambda number: f"{number}%")
some_percents = st.decimals(1, 100, places=4).map(lambda number: f"{number}%")
times = st.integers(1, 2**31 - 1).map(lambda number: f"{number}ns")
whole_bytes = st.integers(1, 2**40)

words_of_tc = st.tuples(
    st.one_of(
        st.just([]),
        st.tuples(st.just("delay"), times),
        st.tuples(st.just("delay"), times, times, percents),
        st.tuples(
            *(st.just("delay"), times, times),
            *(st.just("distribution"), st.sampled_from(["normal", "pareto", "paretonormal"])),
            *(st.just("reorder"), some_percents, percents),
            *(st.just("gap"), st.integers(1, 9).map(str)),
        ),
    ),
    st.one_of(
        st.just([]),
        st.tuples(st.just("loss"), percents, percents),
        st.tuples(st.just("loss"), st.just("state"), percents),
        st.tuples(st.just("loss"), st.just("gemodel"), percents, percents, percents, percents),
    ),
    st.one_of(st.just([]), st.tuples(st.just("duplicate"), percents, percents)),
    st.one_of(st.just([]), st.tuples(st.just("corrupt"), percents)),
    st.one_of(st.just([]), st.tuples(st.just("rate"), whole_bytes.map(lambda rate: f"{rate}bps"))),
    st.one_of(st.just([]), st.tuples(st.just("slot"), times)),
    st.one_of(st.just([]), st.tuples(st.just("limit"), st.integers(1, 2**32 - 1).map(str))),
    st.one_of(st.just([]), st.tuples(st.just("seed"), st.integers(0, 2**64 - 1).map(str))),
).map(lambda groups: [word for group in groups for word in group])


@pytest.mark.slow
@settings(deadline=None)
@given(words_of_tc)
def test_words_and_meaning_are_inverse(words: list[str]) -> None:
    meaning = parse_impairment(words)
    assert parse_impairment(impairment_words(meaning)) == meaning


@pytest.mark.slow
@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(["delay", "loss", "reorder", "gap", "slot", "rate", "limit", "ecn"]),
            st.sampled_from(["state", "gemodel", "distribution", "packets", "5%", "5ms", "5", "-"]),
            st.text(max_size=8),
        ),
        max_size=8,
    )
)
def test_any_words_are_understood_or_refused_in_words(words: list[str]) -> None:
    try:
        meaning = parse_impairment(words)
    except LabError as error:
        refusal = error
    else:
        assert parse_impairment(impairment_words(meaning)) == meaning
        return
    assert refusal.problem
    assert str(refusal).isprintable()


def tc_takes(words: list[str]) -> bool:
    """Whether the installed tc understands the words; what the kernel says to them does not matter."""
    # tc reads all of its words before it looks for the device.
    tc = subprocess.run(
        ["tc", "qdisc", "add", "dev", "no-such-device", "root", "netem", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
        check=False,
    )
    return "Cannot find device" in tc.stderr


@pytest.mark.skipif(which("tc") is None, reason="needs tc (apt install iproute2)")
@pytest.mark.parametrize(
    "words",
    [
        "delay 100 50 25% loss 40 duplicate 1% 2%",
        "loss state 10% 80% 20% 30% 5% ecn",
        "loss gemodel 1% 10% 70% 0.1% corrupt 0.001% 5%",
        "delay 10ms reorder 25% 50% gap 5 limit 50",
        "rate 5kbit 20 100 5",
        "rate 1.5mbps -14",
        "slot 1ms 2ms packets 32 bytes 1000",
        "delay 300ns 1us",
    ],
)
def test_the_installed_tc_takes_what_we_print(words: str) -> None:
    assert tc_takes(impairment_words(parsed(words)))


@pytest.mark.skipif(which("tc") is None, reason="needs tc (apt install iproute2)")
@pytest.mark.parametrize(
    "words",
    ["loss 140%", "reorder 5%", "ecn", "rate 5k", "delay 5ms 5%", "loss 4%%", "slot 2ms 1ms"],
)
def test_what_tc_refuses_we_refuse(words: str) -> None:
    assert not tc_takes(words.split())
    with pytest.raises(LabError):
        parsed(words)
