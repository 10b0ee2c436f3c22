"""``labctl verify``: prove that exercises judge as they should."""

import argparse
import os
import time

from labctl.cli.arguments import (
    add_json_option,
    add_mode_options,
    choose_rootless,
    complete_exercises,
)
from labctl.cli.terminal import ProgressLine, paint, print_error, print_json
from labctl.cli.termination import end_tidily
from labctl.errors import LabError
from labctl.programs.search import search_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from labctl.grading.verify import Tried, Verified


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    exercises = parser.add_argument(
        "exercises", metavar="EXERCISE", nargs="*", help="names or folders; all by default"
    )
    exercises.completer = complete_exercises  # type: ignore[attr-defined]
    parser.add_argument(
        "--seeds", type=int, default=5, help="under how many each reference has to pass (5)"
    )
    parser.add_argument(
        "--repeat", type=int, default=1, help="run everything so often; results must not differ (1)"
    )
    parser.add_argument(
        "-j", dest="jobs", type=int, default=0, help="runs at once (four for each core)"
    )
    add_mode_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Verify; 0 where everything is as it should be, else 1."""
    end_tidily()
    from labctl.grading.syllabus import exercise_folders, find_exercise
    from labctl.grading.verify import verify

    for option in ("seeds", "repeat"):
        if getattr(args, option) < 1:
            raise LabError(f"--{option} has to be 1 or more")
    path = search_path()
    folders = [find_exercise(name, path).folder for name in args.exercises]
    folders = folders or exercise_folders(path)
    if not folders:
        raise LabError("there are no exercises", hint="is the current folder the right one?")
    line = ProgressLine()
    started = time.monotonic()
    failed = 0
    told: list[LabError] = []

    def show(done: int, of: int, tried: "Tried | None") -> None:
        nonlocal failed
        if tried is not None and tried.problems:
            failed += 1
            line.clear()
            # At once: it may take an hour until all is done, and whoever knows enough ends it.
            for problem in tried.problems:
                print_error(problem)
            told.extend(tried.problems)
        line.show(
            f"{done} of {of} runs, {failed} with problems, {time.monotonic() - started:.0f} s"
        )

    try:
        verified = verify(
            folders,
            seeds=args.seeds,
            repeat=args.repeat,
            jobs=args.jobs,
            is_rootless=choose_rootless(rootless=args.rootless, root=args.root),
            progress=show,
        )
    finally:
        line.clear()
    problems = verified.problems
    if args.json:
        print_json(_as_json(verified, folders))
    else:
        for problem in problems:
            if problem not in told:
                print_error(problem)
        verdict = (
            _counted(len(problems), "problem")
            if problems
            else paint("all as it should be", "green")
        )
        print(
            f"{_counted(len(folders), 'exercise')}, {_counted(len(verified.trials), 'run')}, "
            f"{time.monotonic() - started:.0f} s: {verdict}"
        )
    return 1 if problems else 0


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _as_json(verified: "Verified", folders: list[str]) -> dict[str, object]:
    return {
        "format": 1,
        "exercises": [os.path.basename(folder) for folder in folders],
        "runs": [
            {
                "exercise": tried.trial.exercise.slug,
                "program": tried.trial.name,
                "seed": tried.trial.seed,
                "score": tried.report.score,
                "max_score": tried.report.max_score,
                "seconds": round(tried.report.seconds, 3),
                "checks": {check.name: check.outcome.value for check in tried.report.checks},
                "problems": [str(problem) for problem in tried.problems],
            }
            for tried in verified.trials
        ],
        "problems": [
            {"problem": each.problem, "where": each.where, "hint": each.hint}
            for each in verified.problems
        ],
    }
