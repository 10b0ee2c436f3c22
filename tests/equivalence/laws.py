"""What random outcomes may be, exactly, where they depend on each other or come late."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from tests.wire.bounds import ERROR

_NOTHING = 1e-18


class Step(NamedTuple):
    """One way in which a state is left."""

    probability: float
    to: int
    counts: bool
    """Whether this is what is counted: a lost packet, say."""


Chain = Sequence[Sequence[Step]]
"""The steps out of each state; the first state is where it begins."""


def in_pairs(chain: Chain) -> Chain:
    """Return the chain in which a step counts where the one before would have counted, too."""
    return [
        [
            Step(step.probability, 2 * step.to + step.counts, step.counts and before)
            for step in steps
        ]
        for steps in chain
        for before in (False, True)
    ]


def assert_count(counted: int, steps: int, chain: Chain) -> None:
    """Fail where a chain that takes so many steps would not have counted so many."""
    likely = count_distribution(chain, steps)
    lowest = next(k for k in range(len(likely)) if math.fsum(likely[: k + 1]) > ERROR / 2)
    highest = next(k for k in reversed(range(len(likely))) if math.fsum(likely[k:]) > ERROR / 2)
    assert lowest <= counted <= highest, f"{counted} of {steps}; it is {lowest} to {highest}"


def count_distribution(chain: Chain, steps: int) -> list[float]:
    """Return the probability of each count."""
    likely = [[0.0] * (steps + 2) for _ in chain]
    likely[0][0] = 1.0
    lowest = highest = 0
    for _ in range(steps):
        after = [[0.0] * (steps + 2) for _ in chain]
        for state, ways in enumerate(chain):
            now = likely[state]
            for probability, to, counts in ways:
                there = after[to]
                for count in range(lowest, highest + 1):
                    there[count + counts] += probability * now[count]
        likely = after
        highest += 1
        # What is left out is far below what the bounds are about.
        while sum(row[lowest] for row in likely) < _NOTHING:
            lowest += 1
        while sum(row[highest] for row in likely) < _NOTHING:
            highest -= 1
    return [sum(column) for column in zip(*(row[: highest + 1] for row in likely), strict=True)]


def burst_lengths(lost: Sequence[bool]) -> list[int]:
    """Return how many packets each burst loses, without the last, which the end may have cut."""
    return [len(list(burst)) for is_lost, burst in groupby(lost) if is_lost][:-1]


def after(lost: Sequence[bool], fate: bool, tries: int) -> int:
    """Return how many of the first packets that follow such a fate are lost.

    These choices are independent of each other where only the fate before matters; the number of
    tries is fixed beforehand, or they would not be.
    """
    following = [following for before, following in pairwise(lost) if before == fate]
    assert len(following) >= tries, f"only {len(following)} packets follow such a fate"
    return sum(following[:tries])


def geometric(end: float) -> Callable[[int], float]:
    """Return the share of bursts up to a length, where each packet ends one with this probability."""
    return lambda length: 1 - (1 - end) ** length


def assert_lengths(lengths: Sequence[int], share_up_to: Callable[[int], float]) -> None:
    """Fail where independent whole numbers do not follow the distribution function."""
    bound = _stray(len(lengths))
    for length in range(max(lengths) + 1):
        share = sum(each <= length for each in lengths) / len(lengths)
        law = share_up_to(length)
        assert abs(share - law) <= bound, (
            f"{share:.1%} are up to {length}; by law {law:.1%}, give or take {bound:.1%}"
        )


def assert_delayed(
    sample: Sequence[float], law: Sequence[float], late: float, spoilt: int = 0
) -> None:
    """Fail where the delays are not those of the law, each but the spoilt up to ``late`` too long.

    ``law`` has as many delays as it takes, each as likely. No delay may be too short: the share of
    delays up to any length is no more than the law's, and no less than the law's of what may
    have become that long.
    """
    ordered, exact = sorted(sample), sorted(law)
    bound = _stray(len(ordered)) + 1 / len(exact) + spoilt / len(ordered)
    for rank, delay in enumerate(ordered):
        most = bisect_right(exact, delay) / len(exact)
        least = bisect_left(exact, delay - late) / len(exact)
        assert (rank + 1) / len(ordered) <= most + bound, (
            f"{(rank + 1) / len(ordered):.1%} are up to {delay:.3f}, by law {most:.1%}"
        )
        assert rank / len(ordered) >= least - bound, (
            f"{rank / len(ordered):.1%} are below {delay:.3f}, by law {least:.1%}, "
            f"lateness of {late:.3f} included"
        )


def _stray(size: int) -> float:
    """Return how far a sample strays from its law (Dvoretzky, Kiefer, Wolfowitz, Massart)."""
    return math.sqrt(math.log(2 / ERROR) / (2 * size))
