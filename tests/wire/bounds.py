"""Exact bounds for random outcomes: a correct program breaks one less than once in a million runs."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence

ERROR = 1e-6


def binomial_bounds(tries: int, probability: float, error: float = ERROR) -> tuple[int, int]:
    """Return the fewest and the most successes that are not too improbable."""
    lowest = _quantile(tries, probability, error / 2)
    highest = tries - _quantile(tries, 1 - probability, error / 2)
    return lowest, highest


def _quantile(tries: int, probability: float, tail: float) -> int:
    """Return the least k for which "k successes or fewer" is likelier than ``tail``."""
    if probability <= 0:
        return 0
    if probability >= 1:
        return tries
    log_odds = math.log(probability) - math.log1p(-probability)
    log_term = tries * math.log1p(-probability)
    sum_of_tail = 0.0
    for successes in range(tries):
        sum_of_tail += math.exp(log_term)
        if sum_of_tail > tail:
            return successes
        log_term += math.log((tries - successes) / (successes + 1)) + log_odds
    return tries


def assert_rate(successes: int, tries: int, probability: float) -> None:
    """Fail where independent tries of this probability would not have given so many successes."""
    lowest, highest = binomial_bounds(tries, probability)
    assert lowest <= successes <= highest, (
        f"{successes} of {tries}; with {probability:.4%} it is {lowest} to {highest}"
    )


def assert_same_distribution(left: Sequence[float], right: Sequence[float]) -> None:
    """Fail where two samples of independent values cannot come from the same distribution.

    Two-sample Kolmogorov-Smirnov. Each sample strays from the truth by less than the bound of
    Dvoretzky, Kiefer, Wolfowitz and Massart, which holds for every size, so they part by less than
    the sum of both.
    """
    ordered_left, ordered_right = sorted(left), sorted(right)
    distance = max(
        abs(_share(ordered_left, value) - _share(ordered_right, value))
        for value in (*ordered_left, *ordered_right)
    )
    bound = _stray(len(left), ERROR / 2) + _stray(len(right), ERROR / 2)
    assert distance <= bound, f"the samples differ by {distance:.4f}, more than {bound:.4f}"


def assert_distribution(sample: Sequence[float], share_up_to: Callable[[float], float]) -> None:
    """Fail where the independent values do not follow the continuous distribution function."""
    ordered = sorted(sample)
    size = len(ordered)
    distance = max(
        max(abs(share_up_to(value) - rank / size), abs(share_up_to(value) - (rank + 1) / size))
        for rank, value in enumerate(ordered)
    )
    bound = _stray(size, ERROR)
    assert distance <= bound, f"the sample strays by {distance:.4f}, more than {bound:.4f}"


def _share(ordered: Sequence[float], value: float) -> float:
    return bisect_right(ordered, value) / len(ordered)


def _stray(size: int, error: float) -> float:
    return math.sqrt(math.log(2 / error) / (2 * size))
