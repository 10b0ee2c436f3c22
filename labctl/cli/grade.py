"""``labctl grade``: the programs of a whole class, checked in sandboxes on all cores."""

from __future__ import annotations

import os
import sys
import time

from labctl.cli.arguments import (
    add_exercise_argument,
    add_json_option,
    add_mode_options,
    add_seed_option,
    choose_rootless,
    chosen_exercise,
)
from labctl.cli.terminal import ProgressLine, ago, paint, print_json, print_table
from labctl.cli.termination import end_tidily, interrupted_code
from labctl.errors import LabError, machine_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from labctl.grading.exercise import Exercise
    from labctl.grading.outcome import Report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_exercise_argument(parser)
    parser.add_argument(
        "submissions",
        metavar="SUBMISSION",
        nargs="+",
        help="a folder, a single program, or an archive (.zip, .tar.gz, …) of one learner",
    )
    parser.add_argument("--out", metavar="DIR", help="folder of all results (./grades-EXERCISE)")
    parser.add_argument(
        "-j",
        dest="at_once",
        metavar="N",
        type=int,
        default=len(os.sched_getaffinity(0)),
        help="how many submissions at once (as many as there are cores)",
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="judge also what has been judged already and has not changed since",
    )
    add_seed_option(parser)
    parser.add_argument("--csv", metavar="FILE", help="write the table of grades here too")
    parser.add_argument("--junit", metavar="FILE", help="write JUnit XML of all submissions here")
    parser.add_argument(
        "--gradescope",
        metavar="FILE",
        help="write Gradescope's results.json of the one submission here, after every check",
    )
    add_mode_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Grade; exit code 0 where all were judged, whatever their points, else 3."""
    end_tidily()
    from labctl.grading.grade import Grading, Progress, grade
    from labctl.grading.gradebook import reports_as_json
    from labctl.grading.handed_in import find_handed_in
    from labctl.grading.outcome import Outcome
    from labctl.programs.search import search_path

    if args.at_once < 1:
        raise LabError(f'"-j {args.at_once}" is too few', hint="1 is one submission after another")
    exercise = chosen_exercise(args.exercise)
    out = args.out or f"grades-{exercise.slug}"
    # `labctl grade udp-time *`, for the second time.
    handed_in = find_handed_in([path for path in args.submissions if not _is_same(path, out)])
    if args.gradescope and len(handed_in) != 1:
        raise LabError(
            f"--gradescope is for one submission, and these are {len(handed_in)}",
            hint="each submission's own gradescope.json is in the folder of its results",
        )
    grading = Grading(
        exercise,
        out,
        search_path(),
        _version(),
        seed=args.seed,
        at_once=args.at_once,
        is_rootless=choose_rootless(rootless=args.rootless, root=args.root),
        again=args.again,
    )
    _need_sandbox()
    live = _Live(len(handed_in), args.gradescope)
    live.line.show(f"grading {len(handed_in)} …")
    try:
        reports = grade(handed_in, grading, Progress(live.judged, live.so_far))
    except KeyboardInterrupt as interrupt:
        live.line.clear()
        done = f"{live.done} of {len(handed_in)} are judged"
        print(f"stopped: {done}; the same command goes on from there", file=sys.stderr)
        return interrupted_code(interrupt)
    finally:
        live.line.clear()
    _write_elsewhere(args.csv, args.junit, reports)
    if args.json:
        print_json(reports_as_json(exercise.slug, args.seed, reports))
    else:
        _print_summary(exercise, grading.out, reports)
    return 3 if any(report.outcome is Outcome.BROKEN for report in reports) else 0


def _is_same(path: str, other: str) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("labctl")
    except PackageNotFoundError:
        return "checkout"


def _need_sandbox() -> None:
    from labctl.programs.sandbox import why_no_sandbox

    if why_not := why_no_sandbox():
        raise machine_error(
            f"there is no sandbox here, and nobody's programs are graded without one: {why_not}",
            hint="labctl doctor says what is missing; `labctl check` runs your own programs",
        )


class _Live:
    """What is shown and written while a class is graded."""

    def __init__(self, count: int, gradescope: str | None) -> None:
        self.line = ProgressLine()
        self.done = 0
        self._count = count
        self._gradescope = gradescope
        self._broken = 0
        self._started = time.monotonic()

    def judged(self, report: Report) -> None:
        from labctl.grading.outcome import Outcome

        self.done += 1
        self._broken += report.outcome is Outcome.BROKEN
        self.so_far(report, 0)
        broken = f", {self._broken} could not be judged" if self._broken else ""
        self.line.show(
            f"{self.done} of {self._count} judged{broken}, "
            f"after {ago(time.monotonic() - self._started)}"
        )

    def so_far(self, report: Report, still_to_come: int) -> None:
        if self._gradescope:
            from labctl.grading.files import write_json
            from labctl.grading.gradescope import report_as_gradescope

            written = report_as_gradescope(report, still_to_come=still_to_come)
            write_json(self._gradescope, written)


def _write_elsewhere(csv: str | None, junit: str | None, reports: Sequence[Report]) -> None:
    from labctl.grading.files import write_file
    from labctl.grading.gradebook import reports_as_csv
    from labctl.grading.junit import reports_as_junit

    if csv:
        write_file(csv, reports_as_csv(reports))
    if junit:
        write_file(junit, reports_as_junit(reports))


def _print_summary(exercise: Exercise, out: str, reports: Sequence[Report]) -> None:
    from labctl.grading.gradebook import summary_rows
    from labctl.grading.outcome import Outcome
    from labctl.grading.text import why_not_judged

    rows = summary_rows(reports)
    if rows:
        print_table(("NAME", "POINTS", "FAILED CHECKS"), rows)
    broken = [report for report in reports if report.outcome is Outcome.BROKEN]
    if broken:
        print(paint("could not be judged:", "yellow"))
        for report in broken:
            print(f"  {report.submission}: {why_not_judged(report)}")
    judged = f"{len(rows)} of {len(reports)} judged"
    print(f"{exercise.title}: {judged}, in {os.path.join(out, 'grades.csv')}")
    if broken:
        print("the same command judges the others again")
