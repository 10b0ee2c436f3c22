"""Which packets are lost, on every link by the same law."""

from itertools import pairwise

import pytest

from labctl.topology.correlation import real_probability
from tests.equivalence.exchange import LinkUnderTest, carried
from tests.equivalence.frames import CE, ECT, NOT_ECT, ecn_of, frame
from tests.equivalence.laws import (
    Chain,
    Step,
    after,
    assert_count,
    assert_lengths,
    burst_lengths,
    geometric,
    in_pairs,
)
from tests.wire.bounds import assert_rate

pytestmark = pytest.mark.parametrize(
    "link",
    [
        "model",
        pytest.param("wire", marks=[pytest.mark.kernel, pytest.mark.slow]),
        pytest.param("netem", marks=pytest.mark.netem),
    ],
    indirect=True,
)


def fates(link: LinkUnderTest, words: str, packets: int) -> list[bool]:
    run = carried(link, words, [frame(number) for number in range(packets)])
    assert run.numbers == sorted(set(run.numbers)), "packets were copied, or out of order"
    assert run.dropped == sum(run.lost)
    assert run.refused == 0, "the sender was told of a loss"
    return run.lost


def test_each_packet_is_lost_on_its_own(link: LinkUnderTest) -> None:
    lost = fates(link, "loss 40%", 6000)
    assert_rate(sum(lost), 6000, 0.4)
    assert_rate(after(lost, True, 2000), 2000, 0.4)
    assert_rate(after(lost, False, 3000), 3000, 0.4)
    assert_lengths(burst_lengths(lost)[:1200], geometric(0.6))


@pytest.mark.parametrize(
    ("probability", "correlation", "apart"), [(0.2, 0.25, 16), (0.8, 0.25, 16), (0.3, 0.5, 32)]
)
def test_correlation_changes_the_rate(
    link: LinkUnderTest, probability: float, correlation: float, apart: int
) -> None:
    packets = 500 * apart
    lost = fates(link, f"loss {probability:.0%} {correlation:.0%}", packets)
    # So far apart, two numbers have less than 2**-32 of the earlier in common.
    assert_rate(sum(lost[apart - 1 :: apart]), 500, real_probability(probability, correlation))


def test_full_correlation_decides_once(link: LinkUnderTest) -> None:
    for _ in range(10):
        assert len(set(fates(link, "loss 50% 100%", 50))) == 1


def test_a_gilbert_model_loses_in_bursts(link: LinkUnderTest) -> None:
    lost = fates(link, "loss gemodel 5% 40%", 8000)
    assert_rate(after(lost, False, 5000), 5000, 0.05)
    assert_rate(after(lost, True, 500), 500, 0.6)
    assert_lengths(burst_lengths(lost)[:200], geometric(0.4))


def gilbert_elliot(p: float, r: float, loss_bad: float, loss_good: float) -> Chain:
    """A packet meets the loss of the state; then the state may change."""
    return [
        [
            Step(chance_of_fate * chance_of_state, state, lost)
            for lost, chance_of_fate in ((True, loss), (False, 1 - loss))
            for state, chance_of_state in ((1 - here, change), (here, 1 - change))
        ]
        for here, (loss, change) in enumerate(((loss_good, p), (loss_bad, r)))
    ]


def test_gilbert_elliot_loses_what_its_two_states_lose(link: LinkUnderTest) -> None:
    lost = fates(link, "loss gemodel 20% 30% 90% 30%", 1500)
    chain = gilbert_elliot(0.2, 0.3, 0.9, 0.3)
    assert_count(sum(lost), 1500, chain)
    assert_count(pairs(lost), 1500, in_pairs(chain))


def four_states(p13: float, p31: float, p32: float, p23: float, p14: float) -> Chain:
    """A packet makes a step, and is lost where it ends in the third or fourth state."""
    return [
        [Step(p13, 2, True), Step(p14, 3, True), Step(1 - p13 - p14, 0, False)],
        [Step(p23, 2, True), Step(1 - p23, 1, False)],
        [Step(p31, 0, False), Step(p32, 1, False), Step(1 - p31 - p32, 2, True)],
        [Step(1.0, 0, False)],
    ]


def test_four_states_lose_what_their_chain_loses(link: LinkUnderTest) -> None:
    lost = fates(link, "loss state 15% 40% 20% 60% 10%", 1500)
    chain = four_states(0.15, 0.4, 0.2, 0.6, 0.1)
    assert_count(sum(lost), 1500, chain)
    assert_count(pairs(lost), 1500, in_pairs(chain))


def pairs(lost: list[bool]) -> int:
    return sum(both == (True, True) for both in pairwise(lost))


def test_two_of_the_states_alone_lose_in_bursts(link: LinkUnderTest) -> None:
    lost = fates(link, "loss state 5% 40%", 8000)
    assert_rate(after(lost, False, 5000), 5000, 0.05)
    assert_rate(after(lost, True, 500), 500, 0.6)
    assert_lengths(burst_lengths(lost)[:200], geometric(0.4))


def test_single_losses_never_follow_each_other(link: LinkUnderTest) -> None:
    lost = fates(link, "loss state 0% 100% 0% 100% 30%", 4000)
    assert set(burst_lengths(lost)) == {1}
    assert_rate(after(lost, False, 2000), 2000, 0.3)


def test_what_may_be_marked_is_marked_and_not_lost(link: LinkUnderTest) -> None:
    sent = [frame(number, ecn=ECT if number % 2 else NOT_ECT) for number in range(4000)]
    run = carried(link, "loss 40% ecn", sent)
    assert not any(run.lost[1::2])
    assert_rate(sum(run.lost[0::2]), 2000, 0.4)
    marks = [ecn_of(arrival.frame) for arrival in run.arrivals if arrival.number % 2]
    assert set(marks) == {ECT, CE}
    assert_rate(marks.count(CE), 2000, 0.4)
    for arrival in run.arrivals:
        if arrival.number % 2 == 0:
            assert arrival.frame == sent[arrival.number]
