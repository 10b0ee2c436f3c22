from itertools import pairwise, product

import pytest

from tests.equivalence.exchange import MS, Lateness
from tests.equivalence.frames import Arrival
from tests.equivalence.laws import (
    Step,
    after,
    assert_count,
    assert_delayed,
    assert_lengths,
    burst_lengths,
    count_distribution,
    geometric,
    in_pairs,
)

GILBERT = [
    [Step(0.2, 1, True), Step(0.8, 0, False)],
    [Step(0.6, 1, True), Step(0.4, 0, False)],
]


def probability(fates: tuple[bool, ...]) -> float:
    likely, before = 1.0, False
    for lost in fates:
        chance = 0.6 if before else 0.2
        likely *= chance if lost else 1 - chance
        before = lost
    return likely


def test_a_chain_counts_as_all_of_its_ways_do() -> None:
    losses, pairs = [0.0] * 9, [0.0] * 8
    for fates in product((False, True), repeat=8):
        losses[sum(fates)] += probability(fates)
        both = sum(a and b for a, b in pairwise(fates))
        pairs[both] += probability(fates)
    assert count_distribution(GILBERT, 8) == pytest.approx(losses)
    assert count_distribution(in_pairs(GILBERT), 8) == pytest.approx(pairs)


def test_a_count_that_is_too_improbable_is_refused() -> None:
    # A third on the average.
    assert_count(333, 1000, GILBERT)
    for counted in (200, 450):
        with pytest.raises(AssertionError, match=f"{counted} of 1000"):
            assert_count(counted, 1000, GILBERT)


def test_bursts_and_what_follows_them() -> None:
    lost = [fate == "x" for fate in "x.xx...xxx.xx"]
    assert burst_lengths(lost) == [1, 2, 3]
    assert after(lost, True, 7) == 4
    with pytest.raises(AssertionError, match="only 5 packets"):
        after(lost, False, 6)


def test_lengths_of_another_law_are_refused() -> None:
    lengths = [1] * 800 + [2] * 160 + [3] * 40
    assert_lengths(lengths, geometric(0.8))
    with pytest.raises(AssertionError, match="by law"):
        assert_lengths(lengths, geometric(0.6))


def test_delays_may_be_late_and_not_early() -> None:
    law = [100 + index / 10 for index in range(1000)]
    assert_delayed([delay + 20 for delay in law], law, 20)
    with pytest.raises(AssertionError, match="lateness of"):
        assert_delayed([delay + 20 for delay in law], law, 5)
    with pytest.raises(AssertionError, match="are up to"):
        assert_delayed([delay - 20 for delay in law], law, 20)


def test_spoilt_delays_are_granted_and_no_more() -> None:
    law = [100 + index / 10 for index in range(1000)]
    sample = [*law[:700], *(delay + 1000 for delay in law[700:])]
    assert_delayed(sample, law, 0, 300)
    with pytest.raises(AssertionError, match="lateness of"):
        assert_delayed(sample, law, 0, 100)


def test_frames_are_spoilt_that_were_sent_or_due_while_the_machine_stood_still() -> None:
    # Control frames take 100 ms; nothing moved from 150 to 180.
    controls = [
        (sent * MS, max(sent + 100, 180 if sent >= 50 else 0) * MS) for sent in range(0, 200, 10)
    ]
    lateness = Lateness(controls, 100 * MS, 10 * MS, (0,))
    assert lateness.most_ns == 2 * (30 + 10) * MS

    def spoilt(sent_ms: int, arrived_ms: int) -> bool:
        arrival = Arrival(0, sent_ms * MS, arrived_ms * MS, b"")
        return bool(lateness.spoilt([arrival], 5 * MS))

    assert spoilt(10, 180)
    assert not spoilt(10, 120)
    assert not spoilt(110, 230)


def test_frames_that_were_slow_to_send_are_spoilt() -> None:
    assert Lateness([(0, 10)], 10, 5, (1, 9, 2)).spoilt([], 0) == 1
