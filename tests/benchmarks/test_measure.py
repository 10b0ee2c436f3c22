from collections.abc import Mapping, Sequence

import pytest

from benchmarks.measure import Budget, Comparison, take_turns


def comparison(
    samples: Mapping[str, Sequence[float]],
    *,
    against: Mapping[str, float] | None = None,
    limit: float | None = 2,
) -> Comparison:
    return Comparison(Budget("labctl", against or {"script": 1}, limit), samples)


def test_the_ratio_is_that_of_the_medians_not_of_the_means() -> None:
    measured = comparison({"labctl": [10, 12, 900], "script": [4, 4, 4]})
    assert measured.ratio() == 3


def test_a_weighted_sum_of_contenders_can_be_what_counts() -> None:
    measured = comparison(
        {"labctl": [18, 18, 18], "C": [2, 2, 2], "interpreter": [8, 8, 8]},
        against={"C": 2, "interpreter": 1},
    )
    assert measured.against_ms() == 12
    assert measured.ratio() == 1.5


def test_rounds_that_all_agree_leave_no_width_to_the_interval() -> None:
    assert comparison({"labctl": [6] * 8, "script": [4] * 8}).interval() == (1.5, 1.5)


def test_the_interval_contains_the_ratio_and_repeats() -> None:
    samples = {
        "labctl": [10, 11, 12, 13, 14, 15, 16, 17],
        "script": [5, 6, 5, 6, 5, 6, 5, 6],
    }
    first = comparison(samples).interval()
    assert first is not None
    assert first[0] < comparison(samples).ratio() < first[1]
    assert comparison(samples).interval() == first


def test_noise_that_hits_both_in_the_same_round_does_not_widen_the_interval() -> None:
    noise = [1, 1, 2, 3, 5, 8, 13, 21]
    measured = comparison({"labctl": [3 * x for x in noise], "script": noise})
    assert measured.interval() == (3, 3)


def test_there_is_no_interval_from_five_rounds_and_thus_no_verdict() -> None:
    measured = comparison({"labctl": [1] * 5, "script": [1] * 5})
    assert measured.interval() is None
    assert measured.verdict() == "unclear"


@pytest.mark.parametrize(
    ("labctl", "verdict"),
    [
        ([19] * 9, "within"),
        ([20] * 9, "within"),
        ([21] * 9, "over"),
        ([15, 15, 15, 15, 19, 30, 30, 30, 30], "unclear"),
    ],
)
def test_the_verdict_weighs_the_whole_interval(labctl: list[float], verdict: str) -> None:
    assert comparison({"labctl": labctl, "script": [10] * 9}).verdict() == verdict


def test_a_row_without_a_budget_has_no_verdict() -> None:
    assert comparison({"labctl": [99] * 9, "script": [1] * 9}, limit=None).verdict() == ""


def test_contenders_take_turns_there_and_back() -> None:
    turns: list[str] = []

    def contender(name: str) -> float:
        turns.append(name)
        return float(len(turns))

    samples = take_turns(
        {"a": lambda: contender("a"), "b": lambda: contender("b")},
        3,
        between=lambda: turns.append("-"),
    )
    assert "".join(turns) == "-a-b-b-a-a-b"[:8] + "-a-b" + "-b-a"
    # What each returned in its last three turns; the first round warmed up.
    assert samples == {"a": [8, 10, 16], "b": [6, 12, 14]}
