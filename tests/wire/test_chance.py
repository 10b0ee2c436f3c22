from itertools import pairwise

import pytest

from labctl.topology.correlation import real_probability
from labctl.topology.impairment import GilbertElliotLoss, Loss, RandomLoss, StateLoss
from labctl.wire.chance import Odds, SmoothedOdds, Stream, loss_odds, mixed, odds
from tests.wire.bounds import assert_distribution, assert_rate


def test_numbers_are_those_of_splitmix64() -> None:
    # The published generator gives these from the state 0.
    assert [mixed(count * 0x9E3779B97F4A7C15 % 2**64) for count in (1, 2, 3)] == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]


def test_a_stream_repeats_by_its_seed_alone() -> None:
    first, again, other_stream, other_seed = (
        Stream(7, 1),
        Stream(7, 1),
        Stream(7, 2),
        Stream(8, 1),
    )
    numbers = [first.next() for _ in range(50)]
    assert numbers == [again.next() for _ in range(50)]
    assert not set(numbers) & {other_stream.next() for _ in range(50)}
    assert not set(numbers) & {other_seed.next() for _ in range(50)}


@pytest.mark.slow
def test_numbers_are_evenly_spread() -> None:
    stream = Stream(1, 1)
    assert_distribution([stream.next() / 2**64 for _ in range(20_000)], lambda value: value)


def test_below_reaches_every_number_and_no_other() -> None:
    stream = Stream(1, 1)
    assert {stream.below(6) for _ in range(1000)} == set(range(6))


@pytest.mark.slow
@pytest.mark.parametrize("probability", [0.0001, 0.01, 0.4, 0.5, 0.99])
def test_odds_fall_as_often_as_they_say(probability: float) -> None:
    decide = Odds(probability, Stream(3, 1))
    assert_rate(sum(decide.happens() for _ in range(50_000)), 50_000, probability)


def test_certainty_has_no_exception() -> None:
    assert odds(0.0, 0.5, Stream(1, 1)) is None
    for correlation in (0.0, 0.5, 1.0):
        always = odds(1.0, correlation, Stream(1, 1))
        assert always is not None
        assert all(always.happens() for _ in range(10_000))


def settled(loss: Loss, runs: int, steps: int) -> int:
    """Return how many of the runs, each with a seed of its own, lose the last of so many packets."""
    lost = 0
    for seed in range(runs):
        decide = loss_odds(loss, Stream(seed, 1))
        assert decide is not None
        fates = [decide.happens() for _ in range(steps)]
        lost += fates[-1]
    return lost


@pytest.mark.slow
@pytest.mark.parametrize(
    ("probability", "correlation"),
    [(0.2, 0.25), (0.2, 0.5), (0.8, 0.5), (0.1, 0.8), (0.3, 0.9)],
)
def test_correlation_changes_the_rate_as_computed(probability: float, correlation: float) -> None:
    loss = RandomLoss(probability, correlation)
    # Runs of their own are independent, as the bounds demand; packets of one run are not.
    steps = 60 if correlation > 0.8 else 25
    assert_rate(settled(loss, 3000, steps), 3000, real_probability(probability, correlation))


@pytest.mark.slow
def test_full_correlation_decides_once() -> None:
    decisions = []
    for seed in range(2000):
        decide = SmoothedOdds(0.3, 1.0, Stream(seed, 1))
        fates = {decide.happens() for _ in range(20)}
        assert len(fates) == 1
        decisions.append(fates.pop())
    assert_rate(sum(decisions), 2000, 0.3)


def stationary(loss: GilbertElliotLoss) -> float:
    bad = loss.p / (loss.p + loss.r)
    return bad * loss.loss_bad + (1 - bad) * loss.loss_good


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss",
    [
        GilbertElliotLoss(0.1, 0.9, 1.0, 0.0),
        GilbertElliotLoss(0.05, 0.4, 1.0, 0.0),
        GilbertElliotLoss(0.1, 0.5, 0.9, 0.01),
        GilbertElliotLoss(0.2, 0.3, 0.9, 0.3),
    ],
)
def test_gilbert_elliot_loses_what_its_states_lose(loss: GilbertElliotLoss) -> None:
    assert_rate(settled(loss, 3000, 50), 3000, stationary(loss))


@pytest.mark.slow
def test_the_four_states_are_visited_as_the_chain_says() -> None:
    loss = StateLoss(p13=0.05, p31=0.4, p32=0.2, p23=0.6, p14=0.03)
    # Balance of flows, with the share of state 1 as the unit.
    in_burst = loss.p13 / loss.p31
    good_in_burst = in_burst * loss.p32 / loss.p23
    alone = loss.p14
    lost = (in_burst + alone) / (1 + in_burst + good_in_burst + alone)
    assert_rate(settled(loss, 3000, 60), 3000, lost)


@pytest.mark.slow
def test_p13_alone_is_independent_loss() -> None:
    decide = loss_odds(StateLoss(0.1, 0.9, 0.0, 1.0, 0.0), Stream(5, 1))
    assert decide is not None
    fates = [decide.happens() for _ in range(30_000)]
    assert_rate(sum(fates), 30_000, 0.1)
    after_a_loss = [fate for before, fate in pairwise(fates) if before]
    assert_rate(sum(after_a_loss), len(after_a_loss), 0.1)


def test_a_single_loss_of_state_4_never_comes_twice_in_a_row() -> None:
    decide = loss_odds(StateLoss(0.0, 1.0, 0.0, 1.0, 0.9), Stream(5, 1))
    assert decide is not None
    fates = [decide.happens() for _ in range(1000)]
    assert sum(fates) > 300
    assert not any(before and fate for before, fate in pairwise(fates))
