"""An ``Impairment`` as the words of tc-netem(8), and the words as an ``Impairment``."""

from collections.abc import Iterator, Sequence

from labctl.topology.impairment import (
    DEFAULT_LIMIT,
    Chance,
    Delay,
    GilbertElliotLoss,
    Impairment,
    Loss,
    RandomLoss,
    Rate,
    Reorder,
    Slot,
    StateLoss,
)
from labctl.topology.impairment_reader import Reader
from labctl.topology.impairment_units import percent_word, rate_word, time_word


def parse_impairment(words: Sequence[str]) -> Impairment:
    """Return what the words mean. Raises ``LabError`` for the first that is wrong.

    A probability of zero means the same as not to ask, and so does a delay of zero.
    """
    return Reader(words).read()


def impairment_words(impairment: Impairment) -> list[str]:
    """Return the words that ``parse_impairment`` reads as this, in the order of ``tc qdisc show``."""
    return list(_words(impairment))


def _words(impairment: Impairment) -> Iterator[str]:
    if impairment.limit != DEFAULT_LIMIT:
        yield from ("limit", str(impairment.limit))
    if impairment.delay is not None:
        yield from _delay(impairment.delay)
    if impairment.loss is not None:
        yield from ("loss", *_loss(impairment.loss))
    if impairment.ecn:
        yield "ecn"
    if impairment.duplicate is not None:
        yield from ("duplicate", *_chance(impairment.duplicate))
    if impairment.reorder is not None:
        yield from ("reorder", *_chance(impairment.reorder))
        if impairment.reorder.gap != 1:
            yield from ("gap", str(impairment.reorder.gap))
    if impairment.corrupt is not None:
        yield from ("corrupt", *_chance(impairment.corrupt))
    if impairment.rate is not None:
        yield from ("rate", *_rate(impairment.rate))
    if impairment.slot is not None:
        yield from ("slot", *_slot(impairment.slot))
    if impairment.seed is not None:
        yield from ("seed", str(impairment.seed))


def _delay(delay: Delay) -> Iterator[str]:
    yield from ("delay", time_word(delay.time_ns))
    if delay.jitter_ns or delay.correlation:
        yield time_word(delay.jitter_ns)
    if delay.correlation:
        yield percent_word(delay.correlation)
    if delay.distribution != "uniform":
        yield from ("distribution", delay.distribution)


def _loss(loss: Loss) -> list[str]:
    match loss:
        case RandomLoss():
            return _chance(loss)
        case StateLoss():
            return ["state", *map(percent_word, loss)]
        case GilbertElliotLoss():
            return ["gemodel", *map(percent_word, loss)]


def _chance(chance: RandomLoss | Chance | Reorder) -> list[str]:
    words = [percent_word(chance.probability)]
    if chance.correlation:
        words.append(percent_word(chance.correlation))
    return words


def _rate(rate: Rate) -> list[str]:
    words = [
        rate_word(rate.bytes_per_s),
        *map(str, (rate.packet_overhead, rate.cell_size, rate.cell_overhead)),
    ]
    while words[-1] == "0":
        words.pop()
    return words


def _slot(slot: Slot) -> Iterator[str]:
    if slot.distribution is not None:
        yield from ("distribution", slot.distribution)
        yield from (time_word(slot.delay_ns), time_word(slot.jitter_ns))
    else:
        yield time_word(slot.min_ns)
        if slot.max_ns != slot.min_ns:
            yield time_word(slot.max_ns)
    if slot.packets:
        yield from ("packets", str(slot.packets))
    if slot.bytes:
        yield from ("bytes", str(slot.bytes))
