"""How often netem really does what a correlated probability asks for."""

import math
from itertools import pairwise

_STEPS = 500
_NEARLY_NORMAL = 0.9
"""From this correlation on, a number is a mixture of so many that it is as good as normal."""


def real_probability(probability: float, correlation: float) -> float:
    """Return how often a choice falls that is made with netem's correlated random numbers.

    These are ``x(n) = (1 - c) u(n) + c x(n - 1)`` with ``u`` uniform, so their distribution function
    obeys ``F(x) = c / (1 - c) · ∫ F`` from ``(x - 1 + c) / c`` to ``x / c``. Solved by iteration; with
    full correlation the first number decides for ever, which is yes with the probability asked for.
    """
    c = correlation
    if c <= 0.0 or c >= 1.0 or probability <= 0.0 or probability >= 1.0:
        return probability
    if c > _NEARLY_NORMAL:
        return _normal(probability, c)
    cumulative = [_normal(index / _STEPS, c) for index in range(_STEPS + 1)]
    # Each round makes the n-th cumulant of what is wrong with the start smaller by c to the n, and
    # up to the third the start has none.
    rounds = math.ceil(math.log(1e-6) / (4 * math.log(c)))
    for _ in range(rounds):
        areas = _areas(cumulative)
        cumulative = [
            c / (1 - c) * (_area(areas, x / c) - _area(areas, (x - 1 + c) / c))
            for x in (index / _STEPS for index in range(_STEPS + 1))
        ]
    at = probability * _STEPS
    index = min(int(at), _STEPS - 1)
    return cumulative[index] + (at - index) * (cumulative[index + 1] - cumulative[index])


def _normal(x: float, correlation: float) -> float:
    """Return the distribution function of the normal distribution with their mean and variance."""
    variance = (1 - correlation) / (1 + correlation) / 12
    return 0.5 + math.erf((x - 0.5) / math.sqrt(2 * variance)) / 2


def _areas(values: list[float]) -> list[float]:
    """Return the integral of the function from 0 to each step."""
    areas = [0.0]
    for before, after in pairwise(values):
        areas.append(areas[-1] + (before + after) / (2 * _STEPS))
    return areas


def _area(areas: list[float], to: float) -> float:
    """Return the integral from 0; the function is 0 before that and 1 after 1."""
    if to <= 0.0:
        return 0.0
    if to >= 1.0:
        return areas[-1] + (to - 1.0)
    at = to * _STEPS
    index = int(at)
    return areas[index] + (at - index) * (areas[index + 1] - areas[index])
