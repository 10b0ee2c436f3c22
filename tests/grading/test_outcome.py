import json

import pytest

from labctl.grading.outcome import (
    CheckResult,
    Evidence,
    Outcome,
    Report,
    merged,
    report_as_json,
    report_from_json,
)

P, F, BL, BR = Outcome.PASSED, Outcome.FAILED, Outcome.BLOCKED, Outcome.BROKEN


def check(
    outcome: Outcome, points: float = 1.0, name: str = "test_a", seed: int = 1
) -> CheckResult:
    return CheckResult(name, "it works", outcome, points, seed=seed, seconds=0.5)


def report(*outcomes: Outcome, problem: str = "") -> Report:
    checks = tuple(check(outcome, name=f"test_{n}") for n, outcome in enumerate(outcomes))
    return Report("udp-time", "/work/a", 1, checks, problem)


@pytest.mark.parametrize(
    ("outcomes", "whole", "exit_code"),
    [
        ([P, P], P, 0),
        ([P, F], F, 1),
        ([P, BL], F, 1),
        ([F, BR], BR, 3),
        ([P, BR], BR, 3),
        ([], BR, 3),
    ],
)
def test_the_whole_is_as_good_as_its_worst_part(
    outcomes: list[Outcome], whole: Outcome, exit_code: int
) -> None:
    assert report(*outcomes).outcome is whole
    assert report(*outcomes).exit_code == exit_code


def test_a_run_with_a_problem_is_broken_whatever_passed() -> None:
    assert report(P, problem="no lab").outcome is BR


def test_points_are_for_passing() -> None:
    half = Report("e", "s", 1, (check(P, 2.5), check(F, 4), check(BL, 3), check(BR, 0.5)))

    assert half.score == 2.5
    assert half.max_score == 10
    assert [half.count(outcome) for outcome in (P, F, BL, BR)] == [1, 1, 1, 1]


def test_points_add_up_without_the_errors_of_binary_fractions() -> None:
    assert Report("e", "s", 1, tuple(check(P, 0.1) for _ in range(10))).score == 1.0


@pytest.mark.parametrize(
    ("outcomes", "worst"),
    [([P, P], P), ([P, F, P], F), ([F, BR], BR), ([BL, P], BL), ([BL, F], F)],
)
def test_a_check_that_ran_under_several_seeds_is_as_good_as_the_worst(
    outcomes: list[Outcome], worst: Outcome
) -> None:
    results = [check(outcome, seed=n) for n, outcome in enumerate(outcomes)]

    result = merged(results)

    assert result.outcome is worst
    assert result.seed == outcomes.index(worst)
    assert result.seconds == 0.5 * len(outcomes)


def test_a_report_survives_json() -> None:
    before = report(P, F, BL, BR, problem="half")._replace(
        checks=(check(F)._replace(evidence=Evidence("ladder", "programs", "/x.pcapng", "trace")),)
    )

    after = report_from_json(json.loads(json.dumps(report_as_json(before))))

    assert after == before


def test_json_has_the_sums_for_programs_that_only_read_it() -> None:
    written = report_as_json(report(P, F))

    assert written["format"] == 1
    assert (written["outcome"], written["score"], written["max_score"]) == ("failed", 1.0, 2.0)
    assert [each["outcome"] for each in written["checks"]] == ["passed", "failed"]


@pytest.mark.parametrize(
    "value", [{}, {"format": 2}, {"format": 1}, {"format": 1, "checks": [{"name": "x"}]}]
)
def test_what_is_no_report_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"results|not"):
        report_from_json(value)
