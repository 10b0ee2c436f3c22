"""Runs the checks of one exercise on one submission, in a pytest of its own."""

import json
import os
import select
import tempfile
import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from labctl.grading.exercise import Exercise
from labctl.grading.files import last_lines
from labctl.grading.forkserver import ForkServer, PytestRun
from labctl.grading.outcome import CheckResult, Report, check_from_json
from labctl.kernel.scratch import scratch_folder
from labctl.teardown import down

Sandboxing = Literal["auto", "require", "none"]

_END_WITHIN_S = 20.0
"""What a pytest may take to take its labs down."""

_START_WITHIN_S = 60.0
_SLACK = 4
"""A run may take so many times what all its checks may take; then something hangs."""


class Settings(NamedTuple):
    """How checks are run."""

    seed: int = 1
    sandbox: Sandboxing = "auto"
    """``auto`` does without one where the machine has none."""
    is_rootless: bool = True
    keep: str = ""
    """Folder for what there is to look at afterwards (packets, drawings); empty for nowhere."""
    only: tuple[str, ...] = ()
    """Names of the checks to run, with those that they need; empty for all."""


class Watcher(NamedTuple):
    """What is told while checks run."""

    planned: Callable[[list[str]], None] = lambda titles: None
    """Titles of all checks that will run."""
    started: Callable[[str], None] = lambda title: None
    ended: Callable[[CheckResult], None] = lambda result: None


SILENT = Watcher()


def run_checks(
    server: ForkServer,
    exercise: Exercise,
    folder: str,
    settings: Settings,
    watcher: Watcher = SILENT,
) -> Report:
    """Check the programs in ``folder``. Never raises for what a submission does.

    A run that could not judge at all is a report with a ``problem``. Whatever ends this call,
    ``KeyboardInterrupt`` too, ends everything that it has started.
    """
    started = time.monotonic()
    told = _Told(exercise, server.patience, watcher)
    with (
        tempfile.TemporaryFile() as output,
        scratch_folder("labctl-run-") as scratch,
    ):
        events_read, events_write = os.pipe2(os.O_CLOEXEC)
        try:
            run = server.start(
                _options(exercise, folder, settings),
                cwd=exercise.checks_folder,
                scratch=scratch,
                output_fd=output.fileno(),
                events_fd=events_write,
            )
        except BaseException:
            os.close(events_read)
            raise
        finally:
            os.close(events_write)
        try:
            problem = told.follow(run, events_read)
        finally:
            _end(run)
            os.close(events_read)
            told.clear_up()
        if not problem and told.missing:
            problem = f"the checks ended early ({run.exit_status})"
        if not problem and not told.results:
            problem = "no check ran"
        if problem:
            said = last_lines(output.fileno())
            if run.exit_status is None:
                said += server.last_output()
            problem = "\n".join([problem, *said])
    return Report(
        exercise.slug,
        os.path.abspath(folder),
        settings.seed,
        tuple(told.results),
        problem,
        time.monotonic() - started,
    )


class _Told:
    """What a pytest has told so far."""

    def __init__(self, exercise: Exercise, patience: float, watcher: Watcher) -> None:
        self._check_seconds = patience * exercise.check_seconds
        self._watcher = watcher
        self._planned: list[str] = []
        self.results: list[CheckResult] = []
        self._lab = ""

    @property
    def missing(self) -> int:
        """Return how many checks have not ended."""
        return len(self._planned) - len(self.results)

    def follow(self, run: PytestRun, events_fd: int) -> str:
        """Take in events until the run ends; return what is wrong if it hangs."""
        poll = select.poll()
        poll.register(run, select.POLLIN)
        poll.register(events_fd, select.POLLIN)
        buffer = b""
        deadline = time.monotonic() + _START_WITHIN_S
        while (left_s := deadline - time.monotonic()) > 0:
            ready = {fd for fd, _ in poll.poll(left_s * 1000)}
            if events_fd in ready:
                data = os.read(events_fd, 65536)
                if not data:
                    poll.unregister(events_fd)
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    if self._take(json.loads(line)):
                        planned_s = self._check_seconds * len(self._planned)
                        deadline = time.monotonic() + _SLACK * planned_s + _START_WITHIN_S
            elif run.fileno() in ready:
                run.wait()
                return ""
        return "the checks did not come to an end"

    def clear_up(self) -> None:
        """Remove what is left of the lab that was up last, if the pytest could not do it."""
        if self._lab:
            down(self._lab)

    def _take(self, event: dict[str, Any]) -> bool:
        """Take in one event; return whether it was the plan."""
        match event["event"]:
            case "planned":
                self._planned = event["titles"]
                self._watcher.planned(self._planned)
                return True
            case "lab":
                self._lab = event["name"]
            case "started":
                self._watcher.started(event["title"])
            case "ended":
                result = check_from_json(event["check"])
                self.results.append(result)
                self._watcher.ended(result)
            case unknown:
                raise ValueError(f"no such event: {unknown}")
        return False


def _options(exercise: Exercise, folder: str, settings: Settings) -> list[str]:
    options = [
        f"--exercise={exercise.folder}",
        f"--submission={os.path.abspath(folder)}",
        f"--labctl-seed={settings.seed}",
        f"--labctl-sandbox={settings.sandbox}",
    ]
    if not settings.is_rootless:
        options.append("--labctl-root")
    if settings.keep:
        options.append(f"--labctl-keep={os.path.abspath(settings.keep)}")
    if settings.only:
        options.append(f"--labctl-only={','.join(settings.only)}")
    return [
        *("-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", exercise.checks_folder),
        *("-o", f"pythonpath={exercise.checks_folder}", "--import-mode=importlib"),
        *("--strict-markers", "-q", *options, exercise.checks_folder),
    ]


def _end(run: PytestRun) -> None:
    # As Ctrl-C: it takes its labs down. They end with it in any case.
    run.interrupt()
    if not run.wait(_END_WITHIN_S):
        run.kill()
        run.wait()
