"""An impairment as the options of a netem queueing discipline, and back.

Layouts and numbers are those of include/uapi/linux/pkt_sched.h. Every attribute is always sent:
when the kernel is asked to change a netem, what a message leaves out stays as it was.
"""

from collections.abc import Callable, Iterator, Sequence
from struct import calcsize, pack, unpack, unpack_from

from labctl.errors import LabError, LabErrors
from labctl.kernel.netlink import attribute, attributes
from labctl.topology.distributions import TABLE_SCALE, distribution_table
from labctl.topology.impairment import (
    Chance,
    Delay,
    Distribution,
    GilbertElliotLoss,
    Impairment,
    Loss,
    RandomLoss,
    Rate,
    Reorder,
    Slot,
    StateLoss,
)

Table = Callable[[Distribution], Sequence[int] | None]
"""Gives the 16-bit numbers of a distribution, or ``None`` for uniform, which netem does without."""

_CORR, _DELAY_DIST, _REORDER, _CORRUPT, _LOSS, _RATE, _ECN, _RATE64 = range(1, 9)
_LATENCY64, _JITTER64, _SLOT, _SLOT_DIST, _PRNG_SEED = range(10, 15)
_LOSS_GI, _LOSS_GE = 1, 2
_NESTED = 0x8000

_QOPT = "6I"
_CORR_LAYOUT = "3I"
_CHANCE_LAYOUT = "2I"
_RATE_LAYOUT = "IiIi"
_SLOT_LAYOUT = "qqiiqq"

_ALWAYS = 0xFFFF_FFFF
"""Of a probability, and the most that the 32-bit fields hold."""
_TICK_NS = 64

_UINT32, _UINT64 = (0, _ALWAYS), (0, 2**64 - 1)
_INT32, _TIME_NS = (-(2**31), 2**31 - 1), (0, 2**63 - 1)
_COUNT = (0, 2**31 - 1)
_JITTER_NS = (0, 2**31 - 1)
"""The kernel shortens a longer jitter, and says nothing."""


def encode(impairment: Impairment, *, is_change: bool, table: Table = distribution_table) -> bytes:
    """Return the options of a netem that does this and nothing else.

    With ``is_change`` they also take away the distributions that a netem which is already there
    may have. Raises ``LabErrors`` for what netem has no room for.
    """
    _refuse_what_does_not_fit(impairment)
    delay = impairment.delay or Delay(0)
    random_loss = impairment.loss if isinstance(impairment.loss, RandomLoss) else RandomLoss(0.0)
    duplicate = impairment.duplicate or Chance(0.0)
    reorder = impairment.reorder or Reorder(0.0, gap=0)
    corrupt = impairment.corrupt or Chance(0.0)
    rate = impairment.rate or Rate(0)
    slot = impairment.slot or Slot()
    parts = [
        pack(
            _QOPT,
            _ticks(delay.time_ns),
            impairment.limit,
            _share(random_loss.probability),
            reorder.gap,
            _share(duplicate.probability),
            _ticks(delay.jitter_ns),
        ),
        attribute(_LATENCY64, pack("q", delay.time_ns)),
        attribute(_JITTER64, pack("q", delay.jitter_ns)),
        attribute(
            _CORR,
            pack(
                _CORR_LAYOUT,
                _share(delay.correlation),
                _share(random_loss.correlation),
                _share(duplicate.correlation),
            ),
        ),
        attribute(_REORDER, pack(_CHANCE_LAYOUT, *_shares(reorder[:2]))),
        attribute(_CORRUPT, pack(_CHANCE_LAYOUT, *_shares(corrupt))),
        # The kernel takes the larger of the two rates.
        attribute(_RATE64, pack("Q", rate.bytes_per_s if rate.bytes_per_s > _ALWAYS else 0)),
        attribute(_RATE, pack(_RATE_LAYOUT, min(rate.bytes_per_s, _ALWAYS), *rate[1:])),
        attribute(_ECN, pack("I", impairment.ecn)),
        attribute(_SLOT, _pack_slot(slot)),
        # Without this attribute the kernel goes back to random loss.
        *_loss_model(impairment.loss),
        *_table(_DELAY_DIST, delay.distribution, table, is_change),
        *_table(_SLOT_DIST, slot.distribution or "uniform", table, is_change),
    ]
    if impairment.seed is not None:
        parts.append(attribute(_PRNG_SEED, pack("Q", impairment.seed)))
    return b"".join(parts)


def decode(options: bytes) -> Impairment:
    """Return what a netem does, given the options that the kernel shows.

    The kernel does not tell its distributions: each is shown as uniform (``as_asked`` knows
    better). Kernels before 6.6 have no seed.
    """
    latency, limit, loss, gap, duplicate, jitter = unpack_from(_QOPT, options)
    found = dict(attributes(options, calcsize(_QOPT)))

    def value(kind: int, layout: str) -> tuple[int, ...]:
        return unpack(layout, found.get(kind, bytes(calcsize(layout))))

    time_ns = value(_LATENCY64, "q")[0] if _LATENCY64 in found else latency * _TICK_NS
    jitter_ns = value(_JITTER64, "q")[0] if _JITTER64 in found else jitter * _TICK_NS
    delay_correlation, loss_correlation, duplicate_correlation = map(
        _probability, value(_CORR, _CORR_LAYOUT)
    )
    reorder_share, reorder_correlation = value(_REORDER, _CHANCE_LAYOUT)
    corrupt = value(_CORRUPT, _CHANCE_LAYOUT)
    rate, *overheads = value(_RATE, _RATE_LAYOUT)
    rate = max(rate, *value(_RATE64, "Q"))
    model: Loss | None = _read_loss_model(found[_LOSS]) if _LOSS in found else None
    if model is None and loss:
        model = RandomLoss(_probability(loss), loss_correlation)
    return Impairment(
        delay=Delay(time_ns, jitter_ns, delay_correlation) if time_ns or jitter_ns else None,
        loss=model,
        ecn=value(_ECN, "I") != (0,),
        duplicate=Chance(_probability(duplicate), duplicate_correlation) if duplicate else None,
        corrupt=Chance(*map(_probability, corrupt)) if corrupt[0] else None,
        reorder=Reorder(_probability(reorder_share), _probability(reorder_correlation), gap)
        if gap
        else None,
        rate=Rate(rate, *overheads) if rate else None,
        slot=_read_slot(value(_SLOT, _SLOT_LAYOUT)),
        limit=limit,
        seed=value(_PRNG_SEED, "Q")[0] if _PRNG_SEED in found else None,
    )


def as_asked(asked: Impairment, installed: Impairment) -> Impairment:
    """Return ``asked`` where the kernel does that, and otherwise what it does.

    What the kernel never shows, or chose itself because nobody asked, is taken from ``asked``. A
    seed that was asked for and is not there makes a difference.
    """
    if asked.seed is None:
        installed = installed._replace(seed=None)
    same = _without_distributions(asked) == _without_distributions(installed)
    return asked if same else installed


def _without_distributions(impairment: Impairment) -> bytes:
    return encode(impairment, is_change=False, table=lambda _: None)


def _share(probability: float) -> int:
    return round(probability * _ALWAYS)


def _shares(probabilities: Sequence[float]) -> Iterator[int]:
    return map(_share, probabilities)


def _probability(share: int) -> float:
    """Return the shortest decimal fraction that is sent as this number."""
    exact = share / _ALWAYS
    return next(
        (short for digits in range(2, 13) if _share(short := round(exact, digits)) == share), exact
    )


def _ticks(time_ns: int) -> int:
    return min(time_ns // _TICK_NS, _ALWAYS)


def _pack_slot(slot: Slot) -> bytes:
    if slot.distribution is None:
        times = (slot.min_ns, max(slot.max_ns, slot.min_ns), 0, 0)
    else:
        times = (0, 0, slot.delay_ns, slot.jitter_ns)
    return pack(_SLOT_LAYOUT, *times[:2], slot.packets, slot.bytes, *times[2:])


def _read_slot(values: tuple[int, ...]) -> Slot | None:
    min_ns, max_ns, packets, size, delay_ns, jitter_ns = values
    if jitter_ns:
        return Slot(0, 0, "uniform", delay_ns, jitter_ns, packets, size)
    return Slot(min_ns, max_ns, None, 0, 0, packets, size) if min_ns or max_ns else None


def _loss_model(loss: Loss | None) -> Iterator[bytes]:
    match loss:
        case StateLoss():
            states = _shares((loss.p13, loss.p31, loss.p32, loss.p14, loss.p23))
            yield attribute(_LOSS | _NESTED, attribute(_LOSS_GI, pack("5I", *states)))
        case GilbertElliotLoss():
            p, r, loss_bad, loss_good = _shares(loss)
            # In the bad state the kernel wants the probability to keep a packet.
            raw = pack("4I", p, r, _ALWAYS - loss_bad, loss_good)
            yield attribute(_LOSS | _NESTED, attribute(_LOSS_GE, raw))
        case RandomLoss() | None:
            pass


def _read_loss_model(nested: bytes) -> StateLoss | GilbertElliotLoss | None:
    for kind, raw in attributes(nested, 0):
        if kind == _LOSS_GI:
            p13, p31, p32, p14, p23 = map(_probability, unpack("5I", raw))
            return StateLoss(p13, p31, p32, p23, p14)
        if kind == _LOSS_GE:
            p, r, keep, loss_good = unpack("4I", raw)
            return GilbertElliotLoss(*map(_probability, (p, r, _ALWAYS - keep, loss_good)))
    return None


def _table(kind: int, distribution: Distribution, table: Table, is_change: bool) -> Iterator[bytes]:
    numbers = table(distribution)
    if numbers is None and is_change:
        # No message takes a table away. This one does what netem does without.
        numbers = range(1 - TABLE_SCALE, TABLE_SCALE, 2)
    if numbers is not None:
        yield attribute(kind, pack(f"{len(numbers)}h", *numbers))


def _refuse_what_does_not_fit(impairment: Impairment) -> None:
    problems = [
        LabError(
            f"netem cannot carry {words} {value}{unit}",
            hint=f"choose a value from {low} to {high}{unit}, or --impairments wire",
        )
        for words, value, unit, (low, high) in _ranges(impairment)
        if not low <= value <= high
    ]
    if problems:
        raise LabErrors(problems)


def _ranges(impairment: Impairment) -> Iterator[tuple[str, int, str, tuple[int, int]]]:
    yield "limit", impairment.limit, "", _UINT32
    if impairment.delay:
        yield "delay", impairment.delay.time_ns, "ns", _TIME_NS
        yield "jitter", impairment.delay.jitter_ns, "ns", _JITTER_NS
    if impairment.reorder:
        yield "reorder gap", impairment.reorder.gap, "", _UINT32
    if rate := impairment.rate:
        yield "rate", rate.bytes_per_s, " bytes/s", _UINT64
        yield "rate packet overhead", rate.packet_overhead, "", _INT32
        yield "rate cell size", rate.cell_size, "", _UINT32
        yield "rate cell overhead", rate.cell_overhead, "", _INT32
    if slot := impairment.slot:
        yield "slot", slot.min_ns, "ns", _TIME_NS
        yield "slot", slot.max_ns, "ns", _TIME_NS
        yield "slot delay", slot.delay_ns, "ns", _TIME_NS
        yield "slot jitter", slot.jitter_ns, "ns", _JITTER_NS
        yield "slot packets", slot.packets, "", _COUNT
        yield "slot bytes", slot.bytes, "", _COUNT
    if impairment.seed is not None:
        yield "seed", impairment.seed, "", _UINT64
