"""Grades a class: every submission once, on all cores, from where an earlier run has stopped."""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

from labctl.errors import LabError
from labctl.grading.children import Ended, Said, Say, do_jobs
from labctl.grading.exercise import Exercise
from labctl.grading.files import write_file, write_json
from labctl.grading.fingerprint import fingerprint
from labctl.grading.forkserver import ForkServer
from labctl.grading.gradebook import reports_as_csv, reports_as_json
from labctl.grading.gradescope import report_as_gradescope
from labctl.grading.handed_in import HandedIn, open_handed_in
from labctl.grading.junit import reports_as_junit
from labctl.grading.outcome import (
    Outcome,
    Report,
    check_as_json,
    check_from_json,
    report_as_json,
    report_from_json,
)
from labctl.grading.results import with_paths_from
from labctl.grading.run import Settings, Watcher, run_checks
from labctl.grading.source import checks_of
from labctl.grading.text import report_lines
from labctl.topology.find import find_lab

SUBMISSIONS = "submissions"
"""The folder with a folder for each submission's results."""

_RESULTS = "results.json"
_GRADES = "grades.csv"
_PATIENCE = 2.0
"""A class on all cores keeps the machine busy, and nobody sits there waiting for one result."""

_SCRATCH = ".scratch"
_PACKETS = "packets"


class Grading(NamedTuple):
    """How a class is graded."""

    exercise: Exercise
    out: str
    """Folder of all results."""
    search_path: Sequence[str]
    """Where labs are found."""
    version: str
    """Of labctl: another one may judge otherwise."""
    seed: int = 1
    at_once: int = 1
    is_rootless: bool = True
    again: bool = False
    """Whether to judge also what has been judged already."""


class Progress(NamedTuple):
    """What is told while a class is graded."""

    judged: Callable[[Report], None] = lambda report: None
    """A submission; also one that an earlier run has judged."""
    so_far: Callable[[Report, int], None] = lambda report, still_to_come: None
    """After each check of a submission: what there is, and how many checks are to come."""


def grade(handed_in: Sequence[HandedIn], grading: Grading, progress: Progress) -> list[Report]:
    """Judge every submission that has no result yet; return the reports of all, in their order.

    A result stands in its folder when, and only when, it is whole. Raises ``LabError`` where
    another run writes to the same folder.
    """
    for submission in handed_in:
        _check_place(submission, grading.out)
    with _locked(grading.out):
        scratch = os.path.join(grading.out, _SCRATCH)
        shutil.rmtree(scratch, ignore_errors=True)
        judgement = _key_of_judgement(grading)
        keys = [_key(submission, judgement) for submission in handed_in]
        reports: dict[int, Report] = {}
        for at, submission in enumerate(handed_in):
            if report := _kept(_folder(submission, grading), keys[at], grading):
                reports[at] = report
                progress.judged(report)
        todo = [at for at in range(len(handed_in)) if at not in reports]
        try:
            for at, report in _judge_all(handed_in, todo, grading, progress):
                _keep(report, _folder(handed_in[at], grading), keys[at])
                reports[at] = report
                progress.judged(report)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        every = [reports[at] for at in range(len(handed_in))]
        _keep_summary(every, grading)
    return every


def _check_place(submission: HandedIn, out: str) -> None:
    inside, place = os.path.realpath(submission.path), os.path.realpath(out)
    if f"{place}/".startswith(f"{inside}/"):
        raise LabError(
            f'the results would lie inside the submission "{submission.name}"',
            where=out,
            hint="choose another folder for them with --out",
        )


@contextmanager
def _locked(out: str) -> Iterator[None]:
    os.makedirs(out, exist_ok=True)
    fd = os.open(os.path.join(out, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError(
                "another labctl grade is writing to this folder",
                where=out,
                hint="wait for it, or choose another folder with --out",
            ) from None
        yield
    finally:
        os.close(fd)


def _folder(submission: HandedIn, grading: Grading) -> str:
    return os.path.join(grading.out, SUBMISSIONS, submission.name)


def _key_of_judgement(grading: Grading) -> str:
    """Return what is the same as long as a submission would be judged the same way."""
    exercise = grading.exercise
    places = [exercise.folder, *grading.search_path]
    names = dict.fromkeys([exercise.lab, *(check.lab for check in checks_of(exercise))])
    labs = [find_lab(name, places) for name in names if name]
    return f"{fingerprint(exercise.folder, *labs)} {grading.version} {grading.seed}"


def _key(submission: HandedIn, judgement: str) -> str:
    return hashlib.sha256(f"{fingerprint(submission.path)} {judgement}".encode()).hexdigest()


def _kept(folder: str, key: str, grading: Grading) -> Report | None:
    """Return an earlier result that still holds. One that is broken says nothing, so never does."""
    if grading.again:
        return None
    try:
        with open(os.path.join(folder, _RESULTS), encoding="utf-8") as file:
            written = json.load(file)
        report = report_from_json(written)
    except (OSError, ValueError, AttributeError):
        return None
    if written.get("key") != key or report.outcome is Outcome.BROKEN:
        return None
    return report


def _judge_all(
    handed_in: Sequence[HandedIn], todo: Sequence[int], grading: Grading, progress: Progress
) -> Iterator[tuple[int, Report]]:
    if todo:
        # A table is there when, and only when, it is whole and up to date.
        for name in (_GRADES, _RESULTS):
            _remove(os.path.join(grading.out, name))
    partial = {at: _empty(handed_in[at], grading) for at in todo}
    planned = dict.fromkeys(todo, 0)
    finished: dict[int, Report] = {}

    def work(job: int, say: Say) -> None:
        _judge(server, handed_in[todo[job]], grading, say)

    with (
        ForkServer(_PATIENCE) as server,
        closing(do_jobs(len(todo), work, grading.at_once)) as events,
    ):
        for event in events:
            at = todo[event.job]
            match event:
                case Said(_, {"planned": int(count)}):
                    planned[at] = count
                case Said(_, {"check": check}):
                    report = partial[at]
                    report = report._replace(checks=(*report.checks, check_from_json(check)))
                    partial[at] = report
                    progress.so_far(report, max(planned[at] - len(report.checks), 0))
                case Said(_, {"report": report}):
                    finished[at] = report_from_json(report)
                case Said(_, other):
                    raise AssertionError(f"nobody says {other!r}")
                case Ended(_, exit_status):
                    died = f"the process that judged it ended with status {exit_status}"
                    yield at, finished.pop(at, partial.pop(at)._replace(problem=died))


def _empty(submission: HandedIn, grading: Grading) -> Report:
    return Report(grading.exercise.slug, submission.name, grading.seed, ())


def _judge(server: ForkServer, submission: HandedIn, grading: Grading, say: Say) -> None:
    """Judge one submission; in a process of its own."""
    folder = _folder(submission, grading)
    # What is there is of an older submission, or of a run that was killed.
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    scratch = os.path.join(grading.out, _SCRATCH, str(os.getpid()))
    os.makedirs(scratch, mode=0o700)
    settings = Settings(
        seed=grading.seed,
        sandbox="require",
        is_rootless=grading.is_rootless,
        keep=os.path.join(os.path.abspath(folder), _PACKETS),
    )
    watcher = Watcher(
        planned=lambda titles: say({"planned": len(titles)}),
        ended=lambda check: say({"check": check_as_json(check)}),
    )
    # So that the next run removes what this one leaves in case it is killed.
    os.environ["TMPDIR"] = tempfile.tempdir = os.path.abspath(scratch)
    try:
        programs = open_handed_in(submission, grading.exercise, scratch)
        report = run_checks(server, grading.exercise, programs, settings, watcher)
    except LabError as error:
        report = _empty(submission, grading)._replace(problem=str(error))
    except Exception as error:
        # One submission that labctl stumbles over leaves the others of the class judged.
        said = f"labctl itself failed: {type(error).__name__}: {error}"
        report = _empty(submission, grading)._replace(problem=said)
    report = with_paths_from(folder, report._replace(submission=submission.name))
    say({"report": report_as_json(report)})


def _keep(report: Report, folder: str, key: str) -> None:
    os.makedirs(folder, exist_ok=True)
    lines = [f"{report.exercise}: {report.submission} (seed {report.seed})", ""]
    text = "\n".join([*lines, *report_lines(report)]) + "\n"
    write_file(os.path.join(folder, "report.txt"), text)
    write_file(os.path.join(folder, "junit.xml"), reports_as_junit([report]))
    write_json(os.path.join(folder, "gradescope.json"), report_as_gradescope(report))
    # Last: with it the submission counts as judged.
    written: dict[str, Any] = {**report_as_json(report), "key": key}
    write_json(os.path.join(folder, _RESULTS), written)


def _keep_summary(reports: Sequence[Report], grading: Grading) -> None:
    everything = reports_as_json(grading.exercise.slug, grading.seed, reports)
    write_json(os.path.join(grading.out, _RESULTS), everything)
    write_file(os.path.join(grading.out, _GRADES), reports_as_csv(reports))


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
