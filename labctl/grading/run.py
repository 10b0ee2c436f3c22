"""Runs the checks of one exercise on one submission, in a pytest of its own."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from labctl.grading.endpoints import PATIENCE
from labctl.grading.exercise import Exercise
from labctl.grading.outcome import CheckResult, Report, check_from_json
from labctl.kernel.scratch import scratch_folder
from labctl.teardown import down

Sandboxing = Literal["auto", "require", "none"]

_END_WITHIN_S = 20.0
"""What a pytest may take to take its labs down."""

_START_WITHIN_S = 60.0
_SLACK = 4
"""A run may take so many times what all its checks may take; then something hangs."""

_SHOWN_LINES = 30


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
    patience: float = 1.0
    """How many times as long as usual checks wait for what should come at once."""


class Watcher(NamedTuple):
    """What is told while checks run."""

    planned: Callable[[list[str]], None] = lambda titles: None
    """Titles of all checks that will run."""
    started: Callable[[str], None] = lambda title: None
    ended: Callable[[CheckResult], None] = lambda result: None


SILENT = Watcher()


def run_checks(
    exercise: Exercise, folder: str, settings: Settings, watcher: Watcher = SILENT
) -> Report:
    """Check the programs in ``folder``. Never raises for what a submission does.

    A run that could not judge at all is a report with a ``problem``. Whatever ends this call,
    ``KeyboardInterrupt`` too, ends everything that it has started.
    """
    started = time.monotonic()
    run = _Run(exercise, settings.patience, watcher)
    with (
        tempfile.TemporaryFile() as output,
        scratch_folder("labctl-run-") as scratch,
    ):
        events_read, events_write = os.pipe2(os.O_CLOEXEC)
        try:
            process = subprocess.Popen(
                _command(exercise, folder, settings, events_write),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[events_write],
                cwd=exercise.checks_folder,
                env=_environment(scratch, settings.patience),
            )
        except BaseException:
            os.close(events_read)
            raise
        finally:
            os.close(events_write)
        try:
            problem = run.follow(process, events_read)
        finally:
            _end(process)
            os.close(events_read)
            run.clear_up()
        if not problem and run.missing:
            problem = f"the checks ended early ({process.returncode})"
        if not problem and not run.results:
            problem = "no check ran"
        if problem:
            output.seek(0)
            lines = output.read().decode(errors="replace").splitlines()[-_SHOWN_LINES:]
            problem = "\n".join([problem, *lines])
    return Report(
        exercise.slug,
        os.path.abspath(folder),
        settings.seed,
        tuple(run.results),
        problem,
        time.monotonic() - started,
    )


class _Run:
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

    def follow(self, process: "subprocess.Popen[bytes]", events_fd: int) -> str:
        """Take in events until the process ends; return what is wrong if it hangs."""
        pidfd = os.pidfd_open(process.pid)
        try:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
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
                elif pidfd in ready:
                    return ""
        finally:
            os.close(pidfd)
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


def _command(exercise: Exercise, folder: str, settings: Settings, events_fd: int) -> list[str]:
    options = [
        f"--exercise={exercise.folder}",
        f"--submission={os.path.abspath(folder)}",
        f"--labctl-seed={settings.seed}",
        f"--labctl-sandbox={settings.sandbox}",
        f"--labctl-events-fd={events_fd}",
    ]
    if not settings.is_rootless:
        options.append("--labctl-root")
    if settings.keep:
        options.append(f"--labctl-keep={os.path.abspath(settings.keep)}")
    if settings.only:
        options.append(f"--labctl-only={','.join(settings.only)}")
    return [
        *(sys.executable, "-m", "pytest", "-p", "labctl.grading.plugin"),
        *("-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", exercise.checks_folder),
        *("-o", f"pythonpath={exercise.checks_folder}", "--import-mode=importlib"),
        *("--strict-markers", "-q", *options, exercise.checks_folder),
    ]


def _environment(scratch: str, patience: float) -> dict[str, str]:
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    # The user's own plugins and options for pytest have no say in what a check finds.
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return {
        **own,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": package,
        # All that it makes goes with it, however it ends.
        "TMPDIR": scratch,
        PATIENCE: f"{patience:g}",
    }


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        # As Ctrl-C: it takes its labs down. They end with it in any case.
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_END_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
