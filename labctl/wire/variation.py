"""Times that vary around a mean, drawn from a distribution."""

from collections.abc import Callable

from labctl.topology.distributions import TABLE_SCALE, distribution_table
from labctl.topology.impairment import Distribution
from labctl.wire.chance import Smoothed, Stream


def varied(
    distribution: Distribution, mean_ns: int, jitter_ns: int, correlation: float, stream: Stream
) -> Callable[[], int]:
    """Return what draws one time after the other. They may be below zero.

    Uniform times lie within one jitter of the mean. Correlation is as strange here as in netem, which
    takes the remainder of a correlated 32-bit number: neighbours are hardly more alike, and from a
    jitter of about half a second on the mean is off. To a table it does nothing at all.
    """
    table = distribution_table(distribution)
    if table is not None:
        values = [mean_ns + _rounded(entry * jitter_ns) for entry in table]
        length = len(values)
        return lambda: values[stream.below(length)]
    lowest_ns, width_ns = mean_ns - jitter_ns, 2 * jitter_ns
    if not correlation:
        return lambda: lowest_ns + stream.below(width_ns)
    numbers = Smoothed(correlation, stream)
    return lambda: lowest_ns + (numbers.next() >> 32) % width_ns


def _rounded(scaled: int) -> int:
    return (scaled + TABLE_SCALE // 2) // TABLE_SCALE
