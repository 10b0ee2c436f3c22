"""Makes small exercises and submissions, and runs checks on them as ``labctl check`` does."""

import os
import stat
import textwrap
from collections.abc import Mapping
from pathlib import Path

from labctl.grading.exercise import Exercise, load_exercise
from labctl.grading.forkserver import ForkServer
from labctl.grading.outcome import CheckResult, Report
from labctl.grading.run import SILENT, Settings, Watcher, run_checks

HEAD = """
import os, random, signal, socket
import pytest
from labctl.testing import *
"""

MODES = [True, False] if os.geteuid() == 0 else [True]
"""Whether labs are rootless, for each way to build a lab that this user has."""


def make_exercise(
    folder: Path,
    checks: str,
    *,
    lab: str = "pair",
    programs: str = "{program: WORDS}",
    more: str = "",
    name: str = "01-small",
) -> Exercise:
    """Write an exercise whose checks are this text."""
    made = folder / "exercises" / name
    (made / "checks").mkdir(parents=True)
    (made / "exercise.yaml").write_text(
        f"title: Small\nteaches: [little]\nlab: {lab}\nprograms: {programs}\n{more}\n"
    )
    (made / "checks" / "test_small.py").write_text(HEAD + textwrap.dedent(checks))
    return load_exercise(str(made))


def make_submission(folder: Path, files: Mapping[str, str]) -> Path:
    """Write a submission; files that begin with ``#!`` can be executed."""
    made = folder / "submission"
    made.mkdir(exist_ok=True)
    for name, text in files.items():
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        if text.lstrip().startswith("#!"):
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return made


def check(
    folder: Path,
    checks: str,
    files: Mapping[str, str] | None = None,
    *,
    settings: Settings | None = None,
    patience: float = 1.0,
    **meta: str,
) -> Report:
    """Run these checks on a submission of these files."""
    exercise = make_exercise(folder, checks, **meta)
    submission = str(make_submission(folder, files or {}))
    return run(exercise, submission, settings=settings, patience=patience)


def run(
    exercise: Exercise,
    submission: str,
    watcher: Watcher = SILENT,
    *,
    settings: Settings | None = None,
    patience: float = 1.0,
) -> Report:
    """Run the checks of an exercise once."""
    with ForkServer(patience) as server:
        return run_checks(server, exercise, submission, settings or Settings(), watcher)


def only(report: Report) -> CheckResult:
    """Return the result of the one check that ran."""
    assert not report.problem, report.problem
    [result] = report.checks
    return result
