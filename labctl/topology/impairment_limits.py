"""What an impairment does that its words do not say, and what the wire cannot carry out."""

from collections.abc import Iterator

from labctl.errors import LabError
from labctl.topology.correlation import real_probability
from labctl.topology.impairment import Delay, Impairment, RandomLoss
from labctl.topology.impairment_units import rate_word, time_word

WIRE_BYTES_PER_S = 50_000_000
"""What the wire carries of full-sized frames on one core: 400 Mbit/s."""

_SLOW_OVERFLOW = 1000


def unsupported_on_wire(impairment: Impairment) -> LabError | None:
    """Return why the wire cannot carry this out; None where it can.

    All else that is particular to netem no word asks for; ``labctl.wire.channel`` lists it.
    """
    rate = impairment.rate
    if rate is not None and rate.bytes_per_s > WIRE_BYTES_PER_S:
        return LabError(
            f"the wire cannot carry a rate of {rate_word(rate.bytes_per_s)}",
            hint=f"at most {rate_word(WIRE_BYTES_PER_S)}; without `rate` a link is as fast as it can be",
        )
    return None


def warnings_of(impairment: Impairment) -> list[str]:
    """Return what will surprise somebody who reads the words and not the manual."""
    return list(_warnings(impairment))


def _warnings(impairment: Impairment) -> Iterator[str]:
    loss = impairment.loss
    if isinstance(loss, RandomLoss):
        yield from _correlated(
            "loss", "loses", loss, "; for bursts say `loss gemodel`, as in `loss gemodel 1% 10%`"
        )
    yield from _correlated("duplicate", "duplicates", impairment.duplicate)
    yield from _correlated("corrupt", "corrupts", impairment.corrupt)
    yield from _correlated("reorder", "sends at once", impairment.reorder)
    if impairment.delay is not None:
        yield from _delay_warnings(impairment.delay, impairment)


def _correlated(
    keyword: str, does: str, chance: tuple[float, ...] | None, hint: str = ""
) -> Iterator[str]:
    if chance is None or not chance[1] or chance[0] == 1.0:
        return
    probability, correlation = chance[:2]
    if correlation == 1.0:
        yield (
            f"`{keyword}` with a correlation of 100% {does} every packet or none, "
            f"by one choice at the start{hint}"
        )
        return
    yield (
        f"`{keyword} {_percent(probability)} {_percent(correlation)}` {does} about "
        f"{_percent(real_probability(probability, correlation))} of the packets: "
        f"correlation in netem also changes the rate{hint}"
    )


def _delay_warnings(delay: Delay, impairment: Impairment) -> Iterator[str]:
    if delay.correlation:
        yield (
            "the correlation of `delay` makes neighbouring delays no more alike; "
            "leave it out, or say `rate` to keep packets in order"
        )
    if delay.jitter_ns > delay.time_ns and delay.distribution == "uniform":
        yield (
            f"a jitter of {time_word(delay.jitter_ns)} is more than the delay of "
            f"{time_word(delay.time_ns)}: delays below zero are none at all"
        )
    if delay.jitter_ns and impairment.rate is None:
        yield "with a jitter packets overtake each other; `rate` keeps them in order"
    if delay.time_ns and not impairment.rate:
        packets_per_s = impairment.limit * 1_000_000_000 // delay.time_ns
        if packets_per_s < _SLOW_OVERFLOW:
            yield (
                f"more than {packets_per_s} packets a second overflow `limit {impairment.limit}`, "
                f"as each waits {time_word(delay.time_ns)}"
            )


def _percent(probability: float) -> str:
    return f"{probability * 100:.2g}%" if probability < 0.995 else f"{probability * 100:.4g}%"
