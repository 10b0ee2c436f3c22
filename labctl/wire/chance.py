"""Random choices that depend on a seed and a count, never on time or on each other.

Choice ``n`` of a stream is a hash of (seed, stream, n): the mixing function of splitmix64 (Steele,
Lea and Flood 2014) over a counter. Each kind of impairment has a stream of its own, so adding one
to a link does not change what another does.
"""

from labctl.topology.impairment import GilbertElliotLoss, Loss, RandomLoss, StateLoss

_MASK = 2**64 - 1
_GAMMA = 0x9E3779B97F4A7C15
_ONE = 2**64


def mixed(number: int) -> int:
    """Return 64 bits that look random, the same for the same number."""
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)


class Stream:
    """The random numbers of one purpose, from 0 to 2⁶⁴ - 1."""

    __slots__ = ("_state",)

    def __init__(self, seed: int, stream: int) -> None:
        self._state = mixed((mixed(seed & _MASK) + stream * _GAMMA) & _MASK)

    def next(self) -> int:
        """Return the next number."""
        # mixed(), written out: a call costs a tenth of what the emulator may spend on a packet.
        self._state = number = (self._state + _GAMMA) & _MASK
        number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
        return number ^ (number >> 31)

    def below(self, limit: int) -> int:
        """Return a number from 0 to ``limit - 1``, each as likely."""
        return (self.next() * limit) >> 64


class Odds:
    """Says yes with a probability, each time on its own."""

    __slots__ = ("_stream", "_threshold")

    def __init__(self, probability: float, stream: Stream) -> None:
        self._threshold = round(probability * _ONE)
        self._stream = stream

    def happens(self) -> bool:
        """Return the next answer."""
        return self._stream.next() < self._threshold


class Smoothed:
    """netem's correlated random numbers: each is a mixture of a fresh one and the one before.

    ``x(n) = (1 - c) u(n) + c x(n - 1)``. Mixing moves the numbers to the middle of their range, so a
    probability under a half is met less often than it says, and one over a half more often. That is
    what the manual calls bad behaviour; ``labctl.topology.correlation`` computes how bad.
    """

    __slots__ = ("_correlation", "_last", "_stream")

    def __init__(self, correlation: float, stream: Stream) -> None:
        self._correlation = round(correlation * 2**32)
        self._stream = stream
        self._last = stream.next()

    def next(self) -> int:
        """Return the next number, from 0 to 2⁶⁴ - 1."""
        fresh = self._stream.next() * (2**32 - self._correlation)
        self._last = last = (fresh + self._last * self._correlation) >> 32
        return last


class SmoothedOdds:
    """Says yes with netem's correlated numbers."""

    __slots__ = ("_numbers", "_threshold")

    def __init__(self, probability: float, correlation: float, stream: Stream) -> None:
        self._threshold = round(probability * _ONE)
        self._numbers = Smoothed(correlation, stream)

    def happens(self) -> bool:
        """Return the next answer."""
        return self._numbers.next() < self._threshold


class GilbertElliotOdds:
    """A good and a bad state, each losing packets with a probability of its own; starts good.

    A packet's fate is that of the state it meets; then the state may change.
    """

    __slots__ = ("_bad", "_change", "_loss", "_stream")

    def __init__(self, model: GilbertElliotLoss, stream: Stream) -> None:
        self._change = (round(model.p * _ONE), round(model.r * _ONE))
        self._loss = (round(model.loss_good * _ONE), round(model.loss_bad * _ONE))
        self._bad = 0
        self._stream = stream

    def happens(self) -> bool:
        """Return whether the next packet is lost."""
        state = self._bad
        draw = self._stream.next
        if draw() < self._change[state]:
            self._bad = 1 - state
        return draw() < self._loss[state]


_GOOD, _GOOD_IN_BURST, _LOST_IN_BURST, _LOST_ALONE = range(4)


class StateOdds:
    """The four-state Markov chain of Salsano, Ludovici and Ordine (2010); starts good.

    Each packet makes one step of the chain and is lost where the step ends in a losing state.
    """

    __slots__ = ("_state", "_steps", "_stream")

    def __init__(self, model: StateLoss, stream: Stream) -> None:
        self._steps = (
            _step((_LOST_ALONE, model.p14), (_LOST_IN_BURST, model.p13)),
            _step((_LOST_IN_BURST, model.p23)),
            _step((_GOOD_IN_BURST, model.p32), (_GOOD, model.p31)),
            _step((_GOOD, 1.0)),
        )
        self._state = _GOOD
        self._stream = stream

    def happens(self) -> bool:
        """Return whether the next packet is lost."""
        number = self._stream.next()
        for threshold, state in self._steps[self._state]:
            if number < threshold:
                self._state = state
                break
        return self._state >= _LOST_IN_BURST


def _step(*exits: tuple[int, float]) -> tuple[tuple[int, int], ...]:
    """Return the thresholds under which a random number leads to each state; above all, stay."""
    thresholds = []
    sum_of_probabilities = 0.0
    for state, probability in exits:
        sum_of_probabilities += probability
        thresholds.append((round(sum_of_probabilities * _ONE), state))
    return tuple(thresholds)


AnyOdds = Odds | SmoothedOdds | GilbertElliotOdds | StateOdds


def odds(probability: float, correlation: float, stream: Stream) -> Odds | SmoothedOdds | None:
    """Return what decides with this probability; None where it never happens."""
    if not probability:
        return None
    if not correlation:
        return Odds(probability, stream)
    return SmoothedOdds(probability, correlation, stream)


def loss_odds(loss: Loss | None, stream: Stream) -> AnyOdds | None:
    """Return what decides which packets are lost; None where none is."""
    match loss:
        case None:
            return None
        case RandomLoss():
            return odds(loss.probability, loss.correlation, stream)
        case GilbertElliotLoss():
            return GilbertElliotOdds(loss, stream)
        case StateLoss():
            return StateOdds(loss, stream)
