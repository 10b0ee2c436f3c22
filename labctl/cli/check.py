"""``labctl check``: whether a learner's programs do what they should, and what is wrong if not."""

from __future__ import annotations

import os
import sys

from labctl.cli.arguments import (
    add_exercise_argument,
    add_json_option,
    add_mode_options,
    add_seed_option,
    choose_rootless,
    chosen_exercise,
)
from labctl.cli.terminal import ProgressLine, paint, print_json, print_warning
from labctl.cli.termination import end_tidily
from labctl.errors import LabError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from labctl.grading.exercise import Exercise
    from labctl.grading.forkserver import ForkServer
    from labctl.grading.outcome import CheckResult, Report
    from labctl.grading.run import Settings

_CLEAR_SCREEN = "\x1b[H\x1b[2J\x1b[3J"
_MOST_CHANGES_SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_exercise_argument(parser)
    parser.add_argument(
        "folder",
        metavar="DIR",
        nargs="?",
        help="where the programs are (./work/EXERCISE if it exists, else .)",
    )
    parser.add_argument(
        "--watch",
        action="store_true",
        help="again whenever a file changes, until Ctrl-C; a run that is under way is finished first",
    )
    only = parser.add_argument(
        "--only",
        metavar="CHECK",
        action="append",
        default=[],
        help="this check, by its name or words of its title, and those that have to pass before it; "
        "may be repeated",
    )
    only.completer = _complete_checks  # type: ignore[attr-defined]
    add_seed_option(parser)
    parser.add_argument(
        "--no-sandbox",
        action="store_true",
        help="run the programs as you do, where they see all your files",
    )
    add_mode_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Check; exit code 0 where all passed, 1 where one failed, 3 where one could not be judged."""
    end_tidily()
    from labctl.grading.forkserver import ForkServer
    from labctl.grading.run import Settings
    from labctl.grading.source import chosen_checks

    if args.watch and args.json:
        raise LabError("--watch has no --json", hint="leave one of them out")
    # First, so that it loads while this process reads the exercise.
    with ForkServer() as server:
        exercise = chosen_exercise(args.exercise)
        folder = _folder(args.folder, exercise)
        settings = Settings(
            seed=args.seed,
            sandbox="none" if args.no_sandbox else "auto",
            is_rootless=choose_rootless(rootless=args.rootless, root=args.root),
            only=chosen_checks(exercise, args.only),
        )
        if args.watch:
            return _watch(server, exercise, folder, settings)
        report, kept = _check(server, exercise, folder, settings, is_shown=not args.json)
    if args.json:
        from labctl.grading.outcome import report_as_json

        print_json({**report_as_json(report), "kept": kept})
    return report.exit_code


def _folder(word: str | None, exercise: Exercise) -> str:
    from labctl.grading.start import work_folder

    usual = work_folder(exercise)
    folder = word or (usual if os.path.isdir(usual) else ".")
    if not os.path.isdir(folder):
        raise LabError(
            f'there is no folder "{folder}"',
            hint=f"labctl start {exercise.slug} {folder} makes it, with what to start from",
        )
    return folder


def _watch(server: ForkServer, exercise: Exercise, folder: str, settings: Settings) -> int:
    from labctl.grading.watch import changes

    # Told first of all is that nothing has changed yet: from then on no change is missed.
    for names in changes(folder):
        if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
            sys.stdout.write(_CLEAR_SCREEN)
        if names:
            more = len(names) - _MOST_CHANGES_SHOWN
            shown = ", ".join(names[:_MOST_CHANGES_SHOWN]) + (
                f" and {more} more" if more > 0 else ""
            )
            print(f"changed: {_printable(shown)}")
        _check(server, exercise, folder, settings, is_shown=True)
        print(paint(f"watching {_printable(folder)}; Ctrl-C ends", "dim"), flush=True)
    return 0


def _check(
    server: ForkServer, exercise: Exercise, folder: str, settings: Settings, *, is_shown: bool
) -> tuple[Report, str]:
    """Run the checks once; return the report, and the folder where it is kept."""
    from labctl.grading.results import drop_results_folder, keep_report, new_results_folder
    from labctl.grading.run import Watcher, run_checks

    keep = ""
    try:
        keep = new_results_folder(folder)
    except OSError as error:
        print_warning(f"nothing is kept of this run: {error.filename}: {error.strerror}")
    show = _Show(keep, is_shown=is_shown)
    show.begin(exercise, folder, settings.seed)
    watcher = Watcher(show.plan, show.check_started, show.check_ended)
    try:
        report = run_checks(server, exercise, folder, settings._replace(keep=keep), watcher)
    except BaseException:
        if keep:
            drop_results_folder(keep)
        raise
    finally:
        show.line.clear()
    if keep:
        keep = keep_report(keep, report)
    show.end(report, keep)
    return report, keep


class _Show:
    """Each check as it ends, and below it which one is running."""

    def __init__(self, keep: str, *, is_shown: bool) -> None:
        self.line = ProgressLine()
        self._keep = keep
        self._ends_blank = True
        self._is_shown = is_shown
        self._planned = 0
        self._ended = 0

    def begin(self, exercise: Exercise, folder: str, seed: int) -> None:
        self._print(paint(f"{exercise.title}: {_printable(folder)}, seed {seed}", "bold"))
        self.line.show("starting …")

    def plan(self, titles: list[str]) -> None:
        self._planned = len(titles)

    def check_started(self, title: str) -> None:
        from labctl.grading.text import one_line

        self.line.show(one_line(f"{self._ended + 1} of {self._planned}: {title}")[:70])

    def check_ended(self, check: CheckResult) -> None:
        from labctl.grading.text import check_lines

        self._ended += 1
        self.line.clear()
        evidence = check.evidence
        if evidence.pcap:
            # As the user named the folder, which he can paste.
            path = os.path.join(self._keep, os.path.relpath(evidence.pcap, self._keep))
            check = check._replace(evidence=evidence._replace(pcap=path))
        lines = check_lines(check, paint)
        self._ends_blank = not lines[-1]
        self._print(*lines)

    def end(self, report: Report, keep: str) -> None:
        from labctl.grading.text import summary_lines

        if not self._ends_blank:
            self._print("")
        self._print(*summary_lines(report, paint))
        if keep:
            self._print(paint(f"kept in {_printable(keep)}", "dim"))

    def _print(self, *lines: str) -> None:
        if self._is_shown:
            print(*lines, sep="\n", flush=True)


def _printable(text: str) -> str:
    from labctl.grading.text import one_line

    return one_line(text)


def _complete_checks(parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """Return the checks of the exercise that the line names, for completion."""
    from labctl.grading.source import checks_of

    try:
        return [check.name for check in checks_of(chosen_exercise(parsed_args.exercise))]
    except LabError:
        return []
