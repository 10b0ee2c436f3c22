"""Verification of exercises, run for real on a small one that is then harmed."""

from pathlib import Path

import pytest

from labctl.grading.exercise import load_exercise
from labctl.grading.outcome import CheckResult, Outcome, Report
from labctl.grading.verify import Trial, Tried, judged, points_differ, trials_of, verify
from tests.grading.whole_exercise import write_exercise


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_exercise(tmp_path)


def _said(folder: Path) -> list[str]:
    return [str(problem) for problem in verify([str(folder)], seeds=1).problems]


@pytest.mark.kernel
@pytest.mark.slow
def test_an_exercise_that_is_as_it_should_be_has_no_problem(folder: Path) -> None:
    told: list[tuple[int, int]] = []

    verified = verify(
        [str(folder)], seeds=3, repeat=2, progress=lambda done, of, tried: told.append((done, of))
    )

    assert verified.problems == []
    assert len(verified.trials) == 2 * (3 + 1 + 2)
    assert told == [(n, 12) for n in range(13)]


@pytest.mark.kernel
@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("reference/shout.py", "print('HO')\n", "01-shout/reference (seed 1): test_shouts fails"),
        (
            "starter/shout.py",
            "import sys\nprint(sys.argv[1].upper())  # TODO\n",
            "01-shout/starter (seed 1): no check fails",
        ),
        (
            "faulty/quiet/shout.py",
            "print('hi')\n",
            "fails test_shouts, and not test_ends_well, test_shouts",
        ),
        (
            "faulty/quiet/shout.py",
            "import sys\nprint(sys.argv[1].upper())\n",
            "fails nothing, and not test_ends_well, test_shouts",
        ),
        ("reference/shout.py", "print('HO')\n", "the patch does not fit the reference"),
    ],
)
def test_a_program_that_does_not_come_out_as_it_should_is_a_problem(
    folder: Path, file: str, text: str, problem: str
) -> None:
    (folder / file).write_text(text)

    assert [line for line in _said(folder) if problem in line]


@pytest.mark.kernel
@pytest.mark.slow
def test_checks_that_break_are_a_problem_of_every_program(folder: Path) -> None:
    path = folder / "checks" / "test_shout.py"
    path.write_text(path.read_text().replace('"HI', "1/0, 'x").replace("b1/0", "1/0"))

    said = _said(folder)

    for program in ("reference", "starter", "faulty/whispers", "faulty/quiet"):
        assert [line for line in said if f"01-shout/{program} (seed 1)" in line], said


def _tried(folder: Path, *outcomes: Outcome, hint: str = "do", kind: str = "faulty/quiet") -> Tried:
    exercise = load_exercise(str(folder))
    trial = next(trial for trial in trials_of(exercise, seeds=1) if trial.name == kind)
    names = ("test_shouts", "test_ends_well")
    checks = tuple(
        CheckResult(name, name, outcome, 1, hint=hint)
        for name, outcome in zip(names, outcomes, strict=True)
    )
    report = Report("shout", "x", 1, checks)
    return Tried(trial, report, tuple(judged(trial, report)))


def test_a_failure_without_a_hint_is_a_problem(folder: Path) -> None:
    tried = _tried(folder, Outcome.FAILED, Outcome.FAILED, hint="")

    assert [str(each) for each in tried.problems] == [
        "01-shout/faulty/quiet (seed 1): test_shouts fails without a hint",
        "01-shout/faulty/quiet (seed 1): test_ends_well fails without a hint",
    ]


def test_what_is_broken_is_never_taken_for_a_failure(folder: Path) -> None:
    tried = _tried(folder, Outcome.BROKEN, Outcome.FAILED, kind="starter")

    assert [each.problem for each in tried.problems] == ["test_shouts is broken: "]


def test_a_run_that_could_not_judge_is_a_problem(folder: Path) -> None:
    trial = Trial(load_exercise(str(folder)), "starter", "starter", 1)

    [problem] = judged(trial, Report("shout", "x", 1, (), "no lab\nmore"))

    assert (problem.problem, problem.output) == ("the checks could not be run", "no lab\nmore")


def test_points_that_differ_from_run_to_run_are_a_problem(folder: Path) -> None:
    same = [_tried(folder, Outcome.FAILED, Outcome.PASSED) for _ in range(3)]
    other = _tried(folder, Outcome.FAILED, Outcome.FAILED)

    assert points_differ(same) == []
    [problem] = points_differ([*same, other])
    assert problem.problem == "the same program came out differently: 0 points; 1 points"
