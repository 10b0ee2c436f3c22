"""The words of tc-netem(8) become an ``Impairment``.

Read as tc reads them, with its defaults, its other names (``latency``, ``drop``) and its short forms
from three letters on. Refused, where tc takes them: a keyword said twice, probabilities that add up
to more than one, and values that would stop everything or do nothing.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from labctl.errors import LabError
from labctl.topology import impairment_units as units
from labctl.topology.impairment import (
    DEFAULT_LIMIT,
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
from labctl.topology.words import quoted, suggestion

T = TypeVar("T")

_KEYWORDS = (
    *("delay", "distribution", "loss", "ecn", "duplicate", "corrupt", "reorder", "gap"),
    *("rate", "slot", "limit", "seed", "latency", "drop"),
)
_OTHER_NAMES = {"latency": "delay", "drop": "loss"}
_SHORTEST = 3
LARGEST_JITTER_NS = 2**31 - 1

_DISTRIBUTIONS: tuple[Distribution, ...] = ("uniform", "normal", "pareto", "paretonormal")

_EXAMPLES = {
    "delay": "delay 100ms, delay 100ms 20ms, delay 100ms 20ms 25%",
    "loss": "loss 40%, loss gemodel 1% 10%, loss state 5% 40%",
    "duplicate": "duplicate 1%",
    "corrupt": "corrupt 1%",
    "reorder": "delay 10ms reorder 25%",
    "gap": "delay 10ms reorder 100% gap 5",
    "ecn": "loss 1% ecn",
    "distribution": "delay 100ms 20ms distribution normal",
    "rate": "rate 1mbit",
    "slot": "slot 10ms, slot 10ms 20ms packets 32",
    "limit": "limit 1000",
    "seed": "seed 7",
}


class Reader:
    """Goes through the words once, from left to right."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words
        self._next = 0
        self._keyword = ""
        self._said: dict[str, int] = {}
        """Each keyword, and where it stands."""
        self._delay = Delay(0)
        self._loss: Loss | None = None
        self._duplicate: Chance | None = None
        self._corrupt: Chance | None = None
        self._reorder = Reorder(0.0)
        self._rate: Rate | None = None
        self._slot: Slot | None = None
        self._limit = DEFAULT_LIMIT
        self._seed: int | None = None

    def read(self) -> Impairment:
        """Return what the words mean. Raises ``LabError`` for the first that is wrong."""
        while self._next < len(self._words):
            self._keyword = self._take_keyword()
            self._read_values()
        self._check_together()
        return Impairment(
            delay=self._delay if self._delay.time_ns or self._delay.jitter_ns else None,
            loss=self._loss,
            ecn="ecn" in self._said,
            duplicate=self._duplicate,
            corrupt=self._corrupt,
            reorder=self._reorder if self._reorder.probability else None,
            rate=self._rate,
            slot=self._slot,
            limit=self._limit,
            seed=self._seed,
        )

    # The words, one by one.

    def _take_keyword(self) -> str:
        word = self._words[self._next]
        keyword = word if word in _KEYWORDS else _spelled_out(word)
        if keyword is None:
            self._next += 1
            raise self._at_fault(*self._unknown(word))
        keyword = _OTHER_NAMES.get(keyword, keyword)
        self._next += 1
        if keyword in self._said:
            raise self._at_fault(f"`{keyword}` is said twice", f"say `{keyword}` once")
        self._said[keyword] = self._next - 1
        return keyword

    def _unknown(self, word: str) -> tuple[str, str]:
        """Return the problem with a word that stands where a keyword should, and a hint."""
        before = self._words[self._next - 2] if self._next > 1 else ""
        if word.lower() in units.UNITS and before[-1:].isdigit():
            return f"{quoted(word)} stands alone", f"write it without the space: {before}{word}"
        if units.looks_like_a_quantity(word) and self._keyword:
            problem = f"{quoted(word)} is one value too many for `{self._keyword}`"
            return problem, f"such as: {_EXAMPLES[self._keyword]}"
        if units.looks_like_a_quantity(word):
            return (
                f"{quoted(word)} stands before any word that says what it is",
                f"such as: {_EXAMPLES['loss']}",
            )
        return (
            f"unknown word {quoted(word)}",
            suggestion(word, _KEYWORDS, kind="the words of tc-netem are"),
        )

    def _at_fault(self, problem: str, hint: str) -> LabError:
        """Return an error about the word that was taken last."""
        return LabError(problem, where=f"word {self._next}", hint=hint)

    def _has_value(self) -> bool:
        return self._next < len(self._words) and units.looks_like_a_quantity(
            self._words[self._next]
        )

    def _take(self, what: str, read: Callable[[str], T]) -> T:
        """Return the next word, which must be there, as ``read`` understands it."""
        if self._next == len(self._words):
            raise self._at_fault(
                f"`{self._keyword}` has no {what}", f"such as: {_EXAMPLES[self._keyword]}"
            )
        word = self._words[self._next]
        self._next += 1
        try:
            return read(word)
        except LabError as error:
            if word in _KEYWORDS and word != self._keyword:
                self._next -= 1
                raise self._at_fault(
                    f"`{self._keyword}` has no {what}", f"such as: {_EXAMPLES[self._keyword]}"
                ) from None
            raise self._at_fault(f"`{self._keyword}`: {error.problem}", error.hint) from None

    def _take_if(self, what: str, read: Callable[[str], T], otherwise: T) -> T:
        return self._take(what, read) if self._has_value() else otherwise

    def _take_count(self, what: str, *, lowest: int, highest: int = units.LARGEST_COUNT) -> int:
        return self._take(
            what, lambda word: units.whole(word, what, lowest=lowest, highest=highest)
        )

    # What each keyword is followed by.

    def _read_values(self) -> None:
        match self._keyword:
            case "delay":
                self._read_delay()
            case "distribution":
                name = self._take("name", _distribution)
                self._delay = self._delay._replace(distribution=name)
            case "loss":
                self._loss = self._read_loss()
            case "duplicate":
                self._duplicate = self._read_chance()
            case "corrupt":
                self._corrupt = self._read_chance()
            case "reorder":
                probability, correlation = self._read_probability()
                self._reorder = Reorder(probability, correlation, self._reorder.gap)
            case "gap":
                gap = self._take_count("distance", lowest=0)
                self._reorder = self._reorder._replace(gap=max(gap, 1))
            case "rate":
                self._rate = self._read_rate()
            case "slot":
                self._slot = self._read_slot()
            case "limit":
                self._limit = self._take("limit", lambda word: units.size(word, "limit"))
            case "seed":
                self._seed = self._take_count("seed", lowest=0, highest=2**64 - 1)
            case _:
                pass  # `ecn` stands alone.

    def _read_delay(self) -> None:
        time_ns = self._take("time", units.time_ns)
        jitter_ns = self._take_if("jitter", _jitter_ns, 0)
        correlation = self._take_if("correlation", units.probability, 0.0)
        self._delay = Delay(time_ns, jitter_ns, correlation, self._delay.distribution)

    def _read_probability(self) -> tuple[float, float]:
        probability = self._take("percentage", units.probability)
        return probability, self._take_if("correlation", units.probability, 0.0)

    def _read_chance(self) -> Chance | None:
        probability, correlation = self._read_probability()
        return Chance(probability, correlation) if probability else None

    def _read_loss(self) -> Loss | None:
        model = self._words[self._next] if self._next < len(self._words) else ""
        if model in ("random", "state", "gemodel"):
            self._next += 1
        if model == "state":
            return self._read_state_loss()
        if model == "gemodel":
            return self._read_gemodel()
        if model and not units.looks_like_a_quantity(model) and model not in (*_KEYWORDS, "random"):
            self._next += 1
            raise self._at_fault(
                f"`loss` has no model {quoted(model)}",
                suggestion(model, ("random", "state", "gemodel"), kind="the models are"),
            )
        probability, correlation = self._read_probability()
        return RandomLoss(probability, correlation) if probability else None

    def _read_state_loss(self) -> StateLoss:
        p13 = self._take("p13", units.probability)
        p31 = self._take_if("p31", units.probability, units.remainder(p13))
        p32 = self._take_if("p32", units.probability, 0.0)
        self._check_sum("p31 and p32", p31 + p32)
        p23 = self._take_if("p23", units.probability, 1.0)
        p14 = self._take_if("p14", units.probability, 0.0)
        self._check_sum("p13 and p14", p13 + p14)
        return StateLoss(p13, p31, p32, p23, p14)

    def _check_sum(self, names: str, together: float) -> None:
        if together > 1.0 + 1e-9:
            raise self._at_fault(
                f"`loss`: {names} are {together * 100:.4g}% together, more than 100%",
                "they are the ways to leave one state, so at most 100% together",
            )

    def _read_gemodel(self) -> GilbertElliotLoss:
        p = self._take("p", units.probability)
        r = self._take_if("r", units.probability, units.remainder(p))
        loss_bad = self._take_if("1-h", units.probability, 1.0)
        loss_good = self._take_if("1-k", units.probability, 0.0)
        return GilbertElliotLoss(p, r, loss_bad, loss_good)

    def _read_rate(self) -> Rate:
        signed = {"lowest": -(2**31), "highest": 2**31 - 1}
        rate = self._take("rate", units.bytes_per_s)
        overhead = self._take_count("packet overhead", **signed) if self._has_value() else 0
        cell = self._take_count("cell size", lowest=0) if self._has_value() else 0
        cell_overhead = self._take_count("cell overhead", **signed) if self._has_value() else 0
        if cell and cell + cell_overhead <= 0:
            raise self._at_fault(
                f"`rate`: a cell of {cell} bytes less {-cell_overhead} has no length",
                "take away less than the cell size",
            )
        return Rate(rate, overhead, cell, cell_overhead)

    def _read_slot(self) -> Slot:
        if self._next < len(self._words) and self._words[self._next] == "distribution":
            self._next += 1
            slot = Slot(
                distribution=self._take("distribution", _distribution),
                delay_ns=self._take("delay", _slot_ns),
                jitter_ns=self._take("jitter", _slot_jitter_ns),
            )
            if not slot.jitter_ns:
                raise self._at_fault(
                    "`slot`: a distribution needs a jitter",
                    "such as: slot distribution normal 5ms 1ms",
                )
        else:
            min_ns = self._take("time", _slot_ns)
            max_ns = self._take_if("longest time", _slot_ns, min_ns)
            if max_ns < min_ns:
                raise self._at_fault(
                    "`slot`: the longest time is shorter than the shortest", "say the shorter first"
                )
            slot = Slot(min_ns, max_ns)
        if slot.max_ns == slot.delay_ns == slot.jitter_ns == 0:
            raise self._at_fault("`slot`: a slot of no time does nothing", _EXAMPLES["slot"])
        while self._next < len(self._words) and self._words[self._next] in ("packets", "bytes"):
            what = self._words[self._next]
            self._next += 1
            most = self._take(f"number of {what}", lambda word, what=what: units.size(word, what))  # type: ignore[misc]
            slot = slot._replace(packets=most) if what == "packets" else slot._replace(bytes=most)
        return slot

    # What only all of them together can say.

    def _check_together(self) -> None:
        said = self._said
        if "reorder" in said and self._reorder.probability and not self._delay.time_ns:
            raise self._alone("reorder", "needs a delay that the other packets wait for")
        if "gap" in said and not self._reorder.probability:
            raise self._alone("gap", "needs `reorder`")
        if "distribution" in said and not (self._delay.time_ns and self._delay.jitter_ns):
            raise self._alone("distribution", "needs a delay with a jitter")
        if "ecn" in said and self._loss is None:
            raise self._alone("ecn", "marks packets that would be lost, and none are")

    def _alone(self, keyword: str, lacks: str) -> LabError:
        return LabError(
            f"`{keyword}` {lacks}",
            where=f"word {self._said[keyword] + 1}",
            hint=f"such as: {_EXAMPLES[keyword]}",
        )


def _spelled_out(word: str) -> str | None:
    """Return the keyword that the word is short for."""
    if len(word) < _SHORTEST:
        return None
    return next((keyword for keyword in _KEYWORDS if keyword.startswith(word)), None)


def _distribution(word: str) -> Distribution:
    for name in _DISTRIBUTIONS:
        if word == name:
            return name
    raise LabError(
        f"there is no distribution {quoted(word)}",
        hint=suggestion(word, _DISTRIBUTIONS, kind="the distributions are"),
    )


def _jitter_ns(word: str, *, bare: str = "us") -> int:
    if word.endswith("%"):
        raise LabError(
            f"{quoted(word)} stands where the jitter should",
            hint="the correlation comes third: delay 100ms 20ms 25%",
        )
    jitter_ns = units.time_ns(word, bare=bare)
    if jitter_ns > LARGEST_JITTER_NS:
        raise LabError(
            f"the jitter {quoted(word)} is too long",
            hint=f"at most {units.time_word(LARGEST_JITTER_NS)}: netem cuts longer ones silently",
        )
    return jitter_ns


def _slot_ns(word: str) -> int:
    return units.time_ns(word, bare="ns")


def _slot_jitter_ns(word: str) -> int:
    return _jitter_ns(word, bare="ns")
