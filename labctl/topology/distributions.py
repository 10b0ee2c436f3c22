"""Tables of delay distributions: equally likely multiples of the jitter, scaled to 8192 = 1.

netem draws one entry of a table for each packet. Entry ``i`` of ``n`` is the quantile at
``(i + 1/2) / n``, cut to what 16 bits hold, which is four times the jitter.
"""

import math
from collections.abc import Callable
from functools import cache

from labctl.topology.impairment import Distribution

TABLE_LENGTH = 4096
TABLE_SCALE = 8192
"""What stands in a table for a value of one jitter above the mean."""

_LOWEST, _HIGHEST = -32768, 32767


@cache
def distribution_table(name: Distribution) -> tuple[int, ...] | None:
    """Return the table of a distribution in ascending order; None for ``uniform``, which has none."""
    quantile = _QUANTILES[name]
    if quantile is None:
        return None
    return tuple(
        _cut(TABLE_SCALE * quantile((index + 0.5) / TABLE_LENGTH)) for index in range(TABLE_LENGTH)
    )


def _cut(value: float) -> int:
    return max(_LOWEST, min(_HIGHEST, round(value)))


def _normal(probability: float) -> float:
    # Imported here because it costs 15 ms, and most links have no such delay.
    from statistics import NormalDist

    return NormalDist().inv_cdf(probability)


def _pareto(probability: float) -> float:
    """Return the quantile of a Pareto law of shape 3 around its mean, 3/2.

    The unit is the variance of that law, 3/4, where one would expect its deviation. That is what
    everybody's tables hold, so the jitter in `delay 100ms 20ms distribution pareto` keeps its meaning.
    """
    return (math.pow(1.0 - probability, -1 / 3) - 1.5) / 0.75


def _pareto_normal(probability: float) -> float:
    """Return a quarter of the normal law and three quarters of the Pareto law, as cut in its table."""
    highest = _HIGHEST / TABLE_SCALE
    return 0.25 * _normal(probability) + 0.75 * min(highest, _pareto(probability))


_QUANTILES: dict[Distribution, Callable[[float], float] | None] = {
    "uniform": None,
    "normal": _normal,
    "pareto": _pareto,
    "paretonormal": _pareto_normal,
}
