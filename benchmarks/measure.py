"""Statistics of a comparison: contenders take turns, and the ratio of medians gets an interval."""

import random
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Literal, NamedTuple

RESAMPLES = 2000
CONFIDENCE = 0.95

FEWEST_FOR_INTERVAL = 6
"""With five rounds even the whole range holds the true median in only 94 % of cases."""

Verdict = Literal["within", "over", "unclear", ""]

Samples = Mapping[str, Sequence[float]]
"""Milliseconds by contender; the same place in each sequence is the same round."""


class Budget(NamedTuple):
    """``subject`` may take ``limit`` times the weighted sum of the contenders in ``against``."""

    subject: str
    against: Mapping[str, float]
    limit: float | None
    """``None`` where the comparison is for information."""


class Comparison(NamedTuple):
    """What was measured, with the budget that it is held against."""

    budget: Budget
    samples: Samples

    def rounds(self) -> int:
        """Return how often each contender had its turn."""
        return len(self.samples[self.budget.subject])

    def against_ms(self, of: Callable[[Sequence[float]], float] = median) -> float:
        """Return what the subject is compared with, from the median of each contender."""
        return sum(weight * of(self.samples[name]) for name, weight in self.budget.against.items())

    def subject_ms(self, of: Callable[[Sequence[float]], float] = median) -> float:
        """Return the subject's median."""
        return of(self.samples[self.budget.subject])

    def ratio(self) -> float:
        """Return the subject's median as a multiple of what it is compared with."""
        return self.subject_ms() / self.against_ms()

    def interval(self) -> tuple[float, float] | None:
        """Return the bootstrap interval of the ratio, or ``None`` for too few rounds.

        Rounds are drawn and not single samples: contenders of one round shared the machine's
        mood, and drawing them together keeps what that did to both.
        """
        rounds = self.rounds()
        if rounds < FEWEST_FOR_INTERVAL:
            return None
        draw = random.Random(0)
        ratios = []
        for _ in range(RESAMPLES):
            chosen = draw.choices(range(rounds), k=rounds)
            resampled = {
                name: [values[number] for number in chosen] for name, values in self.samples.items()
            }
            ratios.append(Comparison(self.budget, resampled).ratio())
        ratios.sort()
        outside = round(RESAMPLES * (1 - CONFIDENCE) / 2)
        return ratios[outside], ratios[-1 - outside]

    def verdict(self) -> Verdict:
        """Say whether the budget is kept; unclear where the interval reaches across it."""
        limit = self.budget.limit
        if limit is None:
            return ""
        interval = self.interval()
        if interval is None:
            return "unclear"
        if interval[1] <= limit:
            return "within"
        return "over" if interval[0] > limit else "unclear"


def take_turns(
    contenders: Mapping[str, Callable[[], float]],
    rounds: int,
    *,
    between: Callable[[], None] = lambda: None,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, list[float]]:
    """Measure every contender once a round, A B then B A, so that noise hits all alike.

    A first round that is not counted fills caches. ``between`` runs before every turn, untimed.
    """
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    order = list(contenders)
    for number in range(rounds + 1):
        for name in order:
            between()
            milliseconds = contenders[name]()
            if number > 0:
                samples[name].append(milliseconds)
        progress(number)
        # Each then follows each other equally often: what one leaves behind hurts all the same.
        order.reverse()
    return samples
