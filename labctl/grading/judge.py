"""Keeps the book of one pytest run: which check came out how, whose fault it was, and the proof."""

import json
import os
import re
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from labctl.errors import LabError, LabErrors, machine_error
from labctl.grading.endpoints import PATIENCE
from labctl.grading.exercise import Exercise, load_exercise
from labctl.grading.lab import Lab, as_checked, checked_lab
from labctl.grading.outcome import CheckResult, Evidence, Outcome, check_as_json, merged
from labctl.grading.source import first_paragraph
from labctl.grading.submission import Means, Prepared, Submission, copy_submission, prepare
from labctl.grading.unmet import Unmet
from labctl.kernel import processes
from labctl.kernel.rootless import SLOTS
from labctl.programs.sandbox import why_no_sandbox
from labctl.programs.search import search_path
from labctl.topology.cache import load_topology
from labctl.topology.find import find_lab
from labctl.topology.model import Topology

_FEW_USERS_UID, _FEW_USERS = 61_184, 4_000  # what systemd too gives to users for a while

_RUNNERS = {"_pytest", "pluggy"}


class Judge:
    """All checks of one run, their results so far, and what they need."""

    def __init__(
        self,
        checks: Sequence[pytest.Function],
        exercise: Exercise,
        source: str,
        means: Means,
        *,
        keep: str,
        only: set[str],
        events_fd: int,
    ) -> None:
        self._exercise = exercise
        self._source = source
        self._means = means
        self._keep = keep
        self._events_fd = events_fd
        self._checks = {name_of(item): item for item in checks}
        self._wanted = self._with_needs(only)
        self._left: dict[str, int] = defaultdict(int)
        for item in checks:
            self._left[name_of(item)] += 1
        self._results: dict[str, list[CheckResult]] = defaultdict(list)
        self._current: Lab | None = None
        self._started = 0.0
        self._result: CheckResult | None = None
        self._prepared: Prepared | Unmet | None = None
        self._folder = ""

    @classmethod
    def of(cls, config: pytest.Config, checks: Sequence[pytest.Item]) -> "Judge":
        """Return the judge of a run. Raises ``pytest.UsageError`` where something is missing."""
        functions = [item for item in checks if isinstance(item, pytest.Function)]
        source = config.getoption("--submission")
        if not source:
            raise pytest.UsageError("--submission DIR says which programs to check")
        events_fd = config.getoption("--labctl-events-fd")
        folder = config.getoption("--exercise") or os.path.dirname(functions[0].path.parent)
        try:
            exercise = load_exercise(folder)
            sandbox = config.getoption("--labctl-sandbox")
            why_not = "" if sandbox == "none" else why_no_sandbox()
            if why_not and sandbox == "require":
                raise machine_error(f"there is no sandbox here: {why_not}")
            _check_marks(functions)
        except (LabError, LabErrors) as error:
            raise pytest.UsageError(str(error)) from None
        means = Means(
            is_sandboxed=sandbox != "none" and not why_not,
            is_rootless=not config.getoption("--labctl-root"),
            uid=_slot_uid(),
        )
        only = {name for name in config.getoption("--labctl-only").split(",") if name}
        keep = config.getoption("--labctl-keep")
        judge = cls(functions, exercise, source, means, keep=keep, only=only, events_fd=events_fd)
        config.add_cleanup(judge.close)
        return judge

    @property
    def check_seconds(self) -> float:
        """Return how long one check may take."""
        return self._exercise.check_seconds * float(os.environ.get(PATIENCE, "1"))

    def is_wanted(self, item: pytest.Item) -> bool:
        """Whether this check is to run."""
        assert isinstance(item, pytest.Function)
        return name_of(item) in self._wanted

    def announce(self) -> None:
        """Tell which checks will run."""
        titles = [title_of(self._checks[name]) for name in self._checks if name in self._wanted]
        self._tell({"event": "planned", "titles": titles})

    def begin(self, item: pytest.Item) -> str:
        """Begin a check; return the title of one that has to pass first, where there is one."""
        assert isinstance(item, pytest.Function)
        self._started = time.monotonic()
        self._result = None
        for earlier in self._results[name_of(item)]:
            if earlier.outcome is not Outcome.PASSED:
                # One seed or case is enough to fail; the others would only take time.
                self._result = earlier
                return earlier.title
        self._tell({"event": "started", "title": title_of(item)})
        for name in needs_of(item):
            done = self._results[name]
            if name in self._wanted and any(r.outcome is not Outcome.PASSED for r in done):
                title = title_of(self._checks[name])
                self._result = self._about(item, Outcome.BLOCKED)._replace(blocked_by=title)
                return title
        return ""

    def note(self, item: pytest.Item, call: pytest.CallInfo[None]) -> str:
        """Take in how one phase of a check went; return what to show for it, if it failed."""
        assert isinstance(item, pytest.Function)
        text = ""
        if call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception):
            result = self._judged(item, call.excinfo)
            # What breaks while a failed check is tidied up does not undo the failure.
            if self._result is None or self._result.outcome is Outcome.PASSED:
                self._result = result._replace(evidence=self._evidence(item, result))
            text = _text(result)
        elif call.when == "call" and self._result is None:
            self._result = self._about(item, Outcome.PASSED)
        if call.when == "teardown":
            self._finish(item)
        return text

    def _finish(self, item: pytest.Function) -> None:
        name = name_of(item)
        seconds = time.monotonic() - self._started
        result = self._result or self._about(item, Outcome.BROKEN)
        self._results[name].append(result._replace(seconds=seconds))
        self._left[name] -= 1
        if not self._left[name]:
            final = merged(self._results[name])
            self._tell({"event": "ended", "check": check_as_json(final)})

    def _judged(
        self, item: pytest.Function, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> CheckResult:
        error = excinfo.value
        if isinstance(error, Unmet):
            return self._about(item, Outcome.FAILED)._replace(
                expected=error.expected, actual=error.actual, hint=error.hint
            )
        if isinstance(error, AssertionError):
            said = str(error).strip() or "the check's assertion does not hold"
            return self._about(item, Outcome.FAILED)._replace(actual=said)
        hint = error.hint if isinstance(error, LabError) else ""
        said = str(error) if isinstance(error, LabError) else f"{type(error).__name__}: {error}"
        # How pytest came to call it helps nobody.
        ours = excinfo.traceback.filter(lambda entry: not _RUNNERS & set(Path(entry.path).parts))
        excinfo.traceback = ours if len(ours) else excinfo.traceback
        traceback = str(excinfo.getrepr(style="short"))
        return self._about(item, Outcome.BROKEN)._replace(
            actual=said, hint=hint, evidence=Evidence(traceback=traceback)
        )

    def _about(self, item: pytest.Function, outcome: Outcome) -> CheckResult:
        points = item.get_closest_marker("points")
        visibility = item.get_closest_marker("visibility")
        return CheckResult(
            name=name_of(item),
            title=title_of(item),
            outcome=outcome,
            points=float(points.args[0]) if points else 0.0,
            visibility=visibility.args[0] if visibility else "visible",
            seed=_seed_of(item),
        )

    def _evidence(self, item: pytest.Function, result: CheckResult) -> Evidence:
        lab = self._current
        if lab is None:
            return result.evidence
        try:
            programs = "\n".join(
                program.transcript() for program in lab.programs if program.is_submitted
            )
            drawing = lab.drawing()
            pcap = self._keep_packets(item, lab) if drawing else ""
        except Exception as error:
            # Whatever it is, the result stands; there is only less to look at.
            return result.evidence._replace(programs=f"(what was on the wire is lost: {error})")
        return result.evidence._replace(programs=programs, ladder=drawing, pcap=pcap)

    def _keep_packets(self, item: pytest.Function, lab: Lab) -> str:
        if not self._keep:
            return ""
        # Imported only for a check that did not pass.
        from labctl.observe.pcapng import write_pcapng

        os.makedirs(self._keep, exist_ok=True)
        seeds = f"-seed-{_seed_of(item)}" if item.get_closest_marker("seeds") else ""
        path = os.path.join(self._keep, f"{name_of(item)}{seeds}.pcapng")
        with open(path, "wb") as file:
            write_pcapng(file, lab.sightings())
        return path

    @contextmanager
    def lab(self, item: pytest.Item, seed: int) -> Iterator[Lab]:
        """Have the lab of a check."""
        topology = as_checked(self._topology(item))
        self._tell({"event": "lab", "name": topology.name})
        with checked_lab(topology, is_rootless=self._means.is_rootless, seed=seed) as lab:
            self._current = lab
            try:
                yield lab
            finally:
                self._current = None

    def _topology(self, item: pytest.Item) -> Topology:
        mark = item.get_closest_marker("lab")
        name = mark.args[0] if mark else self._exercise.lab
        parameters = (
            {key: str(value) for key, value in mark.kwargs.items()}
            if mark
            else self._exercise.parameters
        )
        return load_topology(find_lab(name, [self._exercise.folder, *search_path()]), parameters)

    def submission(self, lab: Lab) -> Submission:
        """Return the programs under check, prepared when they are asked for first.

        Raises ``Unmet``, each time, where the submission cannot be used.
        """
        if self._prepared is None:
            try:
                self._prepared = self._prepare(lab)
            except Unmet as error:
                self._prepared = error
        if isinstance(self._prepared, Unmet):
            raise Unmet(self._prepared.expected, self._prepared.actual, self._prepared.hint)
        return Submission(self._prepared, self._exercise, lab, self._means)

    def _prepare(self, lab: Lab) -> Prepared:
        self._folder = tempfile.mkdtemp(prefix="labctl-submission-")
        folder = os.path.join(self._folder, "submission")
        copy_submission(self._source, folder)
        return prepare(folder, self._exercise, lab, self._means)

    def close(self) -> None:
        """Remove the copy of the submission."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _with_needs(self, only: set[str]) -> set[str]:
        if not only:
            return set(self._checks)
        unknown = only - set(self._checks)
        if unknown:
            raise pytest.UsageError(
                f"there is no check {sorted(unknown)[0]}; the checks are: {' '.join(self._checks)}"
            )
        wanted: set[str] = set()
        todo = sorted(only)
        while todo:
            name = todo.pop()
            if name not in wanted:
                wanted.add(name)
                todo += needs_of(self._checks[name])
        return wanted

    def _tell(self, event: dict[str, object]) -> None:
        if self._events_fd < 0:
            return
        data = (json.dumps(event) + "\n").encode()
        while data:
            data = data[os.write(self._events_fd, data) :]


def _slot_uid() -> int:
    """Return a user of this process's own for sandboxes; only root can use one."""
    wanted = SLOTS + os.getpid()
    if processes.maps_uid(os.getpid(), wanted):
        return wanted
    # In a container with as many users as ids have had for long; the last ones are nobody's.
    return _FEW_USERS_UID + os.getpid() % _FEW_USERS


def name_of(item: pytest.Function) -> str:
    """Return the test function's name, the same for all its seeds."""
    return item.originalname


def title_of(item: pytest.Function) -> str:
    """Return the docstring's first paragraph: what the learner reads."""
    return first_paragraph(item.function.__doc__) or name_of(item).removeprefix("test_").replace(
        "_", " "
    )


def needs_of(item: pytest.Function) -> list[str]:
    """Return the names of the checks that have to pass first."""
    return [name for mark in item.iter_markers("needs") for name in mark.args]


def _seed_of(item: pytest.Function) -> int:
    callspec = getattr(item, "callspec", None)
    return int(callspec.params.get("seed", 0)) if callspec else 0


def _check_marks(checks: Sequence[pytest.Function]) -> None:
    names: list[str] = []
    for item in checks:
        for needed in needs_of(item):
            if needed not in names:
                raise LabError(
                    f'{name_of(item)} needs "{needed}", and no check before it has that name'
                )
        names.append(name_of(item))
        points = item.get_closest_marker("points")
        if points and not (
            len(points.args) == 1
            and isinstance(points.args[0], int | float)
            and points.args[0] >= 0
        ):
            raise LabError(f"{name_of(item)}: points(NUMBER) takes one number, not below zero")
        if not re.fullmatch(r"test_\w+", name_of(item)):
            raise LabError(f"{name_of(item)}: the name of a check begins with test_")


def _text(result: CheckResult) -> str:
    if result.outcome is Outcome.BROKEN:
        return f"{result.evidence.traceback}\nbroken: {result.actual}"
    lines = [f"{result.title}"]
    for label in ("expected", "actual", "hint"):
        if said := getattr(result, label):
            lines.append(f"  {label:>8}: {said}")
    return "\n".join(lines)
