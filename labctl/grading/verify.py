"""Proves exercises: starters fail, references pass, each known mistake is caught by its check."""

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Literal, NamedTuple

from labctl.errors import LabError
from labctl.grading.content import content_problems, references
from labctl.grading.exercise import Exercise, load_exercise
from labctl.grading.forkserver import ForkServer
from labctl.grading.mistakes import make_mistake, need_patch
from labctl.grading.outcome import Outcome, Report
from labctl.grading.run import Settings, run_checks
from labctl.kernel.interrupts import uninterrupted
from labctl.kernel.scratch import scratch_folder

Kind = Literal["starter", "reference", "faulty"]


_FAULTY = "faulty/"
_PATIENCE = 2.0
"""Many runs at once keep the machine busy."""


class Trial(NamedTuple):
    """One run of an exercise's checks on one of its own programs."""

    exercise: Exercise
    kind: Kind
    name: str
    """Below the exercise's folder: ``starter``, ``reference``, ``faulty/echoes_once``."""
    seed: int

    def __str__(self) -> str:
        return f"{self.exercise.directory}/{self.name} (seed {self.seed})"


class Tried(NamedTuple):
    """How a trial went."""

    trial: Trial
    report: Report
    problems: tuple[LabError, ...]
    """What is wrong with the exercise by that; none where it went as it should."""


class Verified(NamedTuple):
    """What became of all exercises."""

    content: tuple[LabError, ...]
    trials: tuple[Tried, ...]

    @property
    def problems(self) -> list[LabError]:
        """Return everything that is wrong."""
        return [
            *self.content,
            *(each for tried in self.trials for each in tried.problems),
            *points_differ(self.trials),
        ]


def trials_of(exercise: Exercise, *, seeds: int) -> list[Trial]:
    """Return the runs that prove an exercise; references under each seed, the others under one.

    What fails comes first. It waits for what does not come, and would be waited for in the end.
    """
    good = [os.path.basename(folder) for folder in references(exercise)]
    return [
        *(Trial(exercise, "faulty", _FAULTY + name, 1) for name in exercise.faulty),
        Trial(exercise, "starter", "starter", 1),
        *(Trial(exercise, "reference", name, s) for name in good for s in range(1, seeds + 1)),
    ]


def verify(
    folders: Iterable[str],
    *,
    seeds: int = 5,
    repeat: int = 1,
    jobs: int = 0,
    is_rootless: bool = True,
    progress: Callable[[int, int, Tried | None], None] = lambda done, of, tried: None,
) -> Verified:
    """Try everything that the exercises have, ``repeat`` times, ``jobs`` at once.

    ``progress`` is told how many runs are done, of how many, and which was the last. Raises
    ``LabError`` only for what is the machine's fault.
    """
    content: list[LabError] = []
    trials: list[Trial] = []
    for folder in folders:
        problems = content_problems(folder)
        content += problems
        try:
            exercise = load_exercise(folder)
        except LabError:
            continue  # told already
        need_patch(exercise)
        if os.path.isdir(exercise.checks_folder):
            trials += trials_of(exercise, seeds=seeds) * repeat
    progress(0, len(trials), None)
    done: list[Tried] = []
    lock = threading.Lock()
    is_ending = threading.Event()
    settings = Settings(is_rootless=is_rootless)

    def attempt(trial: Trial) -> Tried:
        tried = _try(server, trial, settings)
        with lock:
            if not is_ending.is_set():  # or it was interrupted, which says nothing of the exercise
                done.append(tried)
                progress(len(done), len(trials), tried)
        return tried

    # No lock of a future's own is taken here while threads need it: what interrupts this process at
    # the wrong moment would leave it locked.
    finished: SimpleQueue[Future[Tried]] = SimpleQueue()
    # More than cores: a run that fails spends most of its time waiting for what does not come.
    with (
        ForkServer(_PATIENCE) as server,
        ThreadPoolExecutor(jobs or 4 * (os.cpu_count() or 1)) as pool,
    ):
        try:
            with uninterrupted():  # or the pool would forget the thread that it was starting
                futures = [pool.submit(attempt, trial) for trial in trials]
                for future in futures:
                    future.add_done_callback(finished.put)
            for _ in futures:
                finished.get().result()
        except BaseException:
            is_ending.set()
            pool.shutdown(wait=False, cancel_futures=True)
            server.interrupt()  # what runs already is not waited for to its end
            raise
    return Verified(tuple(content), tuple(future.result() for future in futures))


def _try(server: ForkServer, trial: Trial, settings: Settings) -> Tried:
    exercise = trial.exercise
    with scratch_folder("labctl-verify-") as folder:
        submission = os.path.join(folder, "submission")
        try:
            if trial.kind == "faulty":
                make_mistake(exercise, trial.name.removeprefix(_FAULTY), submission)
            else:
                _copy_if_there(os.path.join(exercise.folder, trial.name), submission)
        except LabError as error:
            nothing = Report(exercise.slug, submission, trial.seed, ())
            return Tried(trial, nothing, (error,))
        report = run_checks(server, exercise, submission, settings._replace(seed=trial.seed))
    return Tried(trial, report, tuple(judged(trial, report)))


def _copy_if_there(source: str, submission: str) -> None:
    # What is missing is told as a problem of the exercise's content.
    if os.path.isdir(source):
        shutil.copytree(source, submission)


def judged(trial: Trial, report: Report) -> list[LabError]:
    """Return what a report says against an exercise."""
    where = str(trial)
    if report.problem:
        return [LabError("the checks could not be run", where=where, output=report.problem)]
    problems = [
        LabError(
            f"{check.name} is broken: {check.actual}",
            where=where,
            hint=check.hint or "a check is never broken by what a program does",
            output=check.evidence.traceback,
        )
        for check in report.checks
        if check.outcome is Outcome.BROKEN
    ]
    failed = [check for check in report.checks if check.outcome is Outcome.FAILED]
    match trial.kind:
        case "reference":
            problems += [
                LabError(
                    f"{check.name} fails: expected {check.expected}; actual {check.actual}",
                    where=where,
                    hint="the reference passes every check, under every seed",
                    output="\n".join([check.evidence.programs, check.evidence.ladder]).strip(),
                )
                for check in failed
            ]
        case "starter":
            if not failed:
                problems.append(
                    LabError(
                        "no check fails",
                        where=where,
                        hint="a starter runs, and fails in a way that shows what is to be done",
                    )
                )
        case "faulty":
            problems += _caught(trial, report, where)
    return problems


def _caught(trial: Trial, report: Report, where: str) -> list[LabError]:
    wanted = set(trial.exercise.faulty[trial.name.removeprefix(_FAULTY)])
    failed = {check.name for check in report.checks if check.outcome is Outcome.FAILED}
    problems = []
    if failed != wanted:
        problems.append(
            LabError(
                f"fails {_names(failed)}, and not {_names(wanted)}",
                where=where,
                hint="exercise.yaml names exactly the checks that catch a mistake",
                output="\n".join(
                    f"{check.name}: expected {check.expected}; actual {check.actual}"
                    for check in report.checks
                    if check.outcome is Outcome.FAILED
                ),
            )
        )
    problems += [
        LabError(f"{check.name} fails without a hint", where=where)
        for check in report.checks
        if check.outcome is Outcome.FAILED and not check.hint
    ]
    return problems


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def points_differ(trials: Sequence[Tried]) -> list[LabError]:
    """Return an error for each program that did not get the same points every time."""
    seen: dict[str, set[tuple[float, tuple[str, ...]]]] = {}
    for tried in trials:
        outcome = tuple(check.outcome.value for check in tried.report.checks)
        seen.setdefault(str(tried.trial), set()).add((tried.report.score, outcome))
    return [
        LabError(
            "the same program came out differently: "
            + "; ".join(f"{score:g} points" for score, _ in sorted(outcomes)),
            where=name,
            hint="a check that depends on chance or on time judges nobody",
        )
        for name, outcomes in seen.items()
        if len(outcomes) > 1
    ]
