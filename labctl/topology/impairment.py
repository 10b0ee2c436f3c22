"""What can be wrong with one direction of a link: the model of tc-netem(8), as plain values.

Probabilities are fractions from 0 to 1, times are nanoseconds, rates are bytes a second. A value
that is absent in the words of tc is zero here, unless it says otherwise.
"""

from typing import Literal, NamedTuple

Distribution = Literal["uniform", "normal", "pareto", "paretonormal"]


class Delay(NamedTuple):
    """``delay TIME [JITTER [CORRELATION]] [distribution NAME]``."""

    time_ns: int
    jitter_ns: int = 0
    correlation: float = 0.0
    distribution: Distribution = "uniform"


class RandomLoss(NamedTuple):
    """``loss [random] P [CORRELATION]``: each packet on its own, or correlated with the last."""

    probability: float
    correlation: float = 0.0


class StateLoss(NamedTuple):
    """``loss state P13 [P31 [P32 [P23 [P14]]]]``: the four-state Markov model.

    States: 1 good, 2 good within a burst, 3 loss within a burst, 4 single loss.
    """

    p13: float
    p31: float
    p32: float
    p23: float
    p14: float


class GilbertElliotLoss(NamedTuple):
    """``loss gemodel P [R [1-H [1-K]]]``: a good and a bad state.

    ``p`` is the probability to go from good to bad, ``r`` from bad to good; ``loss_bad`` (1-H) and
    ``loss_good`` (1-K) are the probabilities to lose a packet in each.
    """

    p: float
    r: float
    loss_bad: float
    loss_good: float


Loss = RandomLoss | StateLoss | GilbertElliotLoss


class Chance(NamedTuple):
    """``corrupt``, ``duplicate``: a probability and its correlation."""

    probability: float
    correlation: float = 0.0


class Reorder(NamedTuple):
    """``reorder P [CORRELATION] [gap N]``: such a packet is sent at once, past the delayed ones."""

    probability: float
    correlation: float = 0.0
    gap: int = 1
    """Only every packet of this distance is a candidate."""


class Rate(NamedTuple):
    """``rate RATE [PACKETOVERHEAD [CELLSIZE [CELLOVERHEAD]]]``."""

    bytes_per_s: int
    packet_overhead: int = 0
    """Bytes added to each packet; may be negative."""
    cell_size: int = 0
    """Bytes; 0 for no cells."""
    cell_overhead: int = 0
    """Bytes added to each cell; may be negative."""


class Slot(NamedTuple):
    """``slot MIN [MAX] [packets N] [bytes N]``, ``slot distribution NAME DELAY JITTER …``."""

    min_ns: int = 0
    max_ns: int = 0
    distribution: Distribution | None = None
    delay_ns: int = 0
    jitter_ns: int = 0
    packets: int = 0
    """At most so many a slot; 0 for no limit."""
    bytes: int = 0
    """At most so many a slot; 0 for no limit."""


DEFAULT_LIMIT = 1000
"""Packets that may wait at once, as in tc."""


class Impairment(NamedTuple):
    """All that one direction of a link does to packets."""

    delay: Delay | None = None
    loss: Loss | None = None
    ecn: bool = False
    """Mark packets instead of losing them, where they allow it."""
    duplicate: Chance | None = None
    corrupt: Chance | None = None
    reorder: Reorder | None = None
    rate: Rate | None = None
    slot: Slot | None = None
    limit: int = DEFAULT_LIMIT
    seed: int | None = None
    """Of the random choices; ``None`` where they need not repeat."""


PERFECT = Impairment()
