import math

import pytest

from tests.wire.bounds import (
    ERROR,
    assert_distribution,
    assert_rate,
    assert_same_distribution,
    binomial_bounds,
)


def outside(tries: int, probability: float, bounds: tuple[int, int]) -> float:
    return sum(
        math.comb(tries, k) * probability**k * (1 - probability) ** (tries - k)
        for k in range(tries + 1)
        if not bounds[0] <= k <= bounds[1]
    )


@pytest.mark.parametrize("probability", [0.01, 0.4, 0.5, 0.99])
def test_bounds_are_as_tight_as_the_error_allows(probability: float) -> None:
    lowest, highest = binomial_bounds(200, probability)
    assert outside(200, probability, (lowest, highest)) <= ERROR
    assert outside(200, probability, (lowest + 2, highest - 2)) > ERROR


def test_certain_outcomes_have_no_room() -> None:
    assert binomial_bounds(100, 0.0) == (0, 0)
    assert binomial_bounds(100, 1.0) == (100, 100)


def test_a_wrong_rate_is_refused() -> None:
    assert_rate(4000, 10_000, 0.4)
    with pytest.raises(AssertionError, match="3700 of 10000"):
        assert_rate(3700, 10_000, 0.4)


def test_samples_of_other_distributions_are_refused() -> None:
    even = [index / 1000 for index in range(1000)]
    squeezed = [value**2 for value in even]
    assert_same_distribution(even, even)
    assert_distribution(even, lambda value: value)
    with pytest.raises(AssertionError, match="samples differ"):
        assert_same_distribution(even, squeezed)
    with pytest.raises(AssertionError, match="sample strays"):
        assert_distribution(squeezed, lambda value: value)
