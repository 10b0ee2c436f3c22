"""The rows about checks and grading."""

import os
import shutil
import sys
from pathlib import Path

from benchmarks.bench import Bench, Row
from benchmarks.contenders import HERE, Labctl, Unavailable, run
from benchmarks.measure import Comparison

EXERCISE = HERE.parent / "exercises/01-addrconv"
CHECK = "test_an_address_becomes_four_bytes"
CLASS = 10
"""Submissions in a class that is graded."""

PYTEST = "pytest, one empty test"


class _Pytest:
    """A pytest of its own, which has nothing to do."""

    def __init__(self, folder: Path) -> None:
        test = folder / "test_empty.py"
        test.write_text("def test_it(): pass\n")
        options = ["-q", "-c", os.devnull, "-p", "no:cacheprovider", "--rootdir", str(folder)]
        self._argv = [sys.executable, "-m", "pytest", *options, str(test)]

    def __call__(self) -> float:
        environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        return run(self._argv, environment).milliseconds


def _submissions(folder: Path, count: int) -> list[str]:
    """Return so many submissions that pass."""
    made = [folder / f"learner{number}" for number in range(count)]
    for submission in made:
        shutil.copytree(EXERCISE / "reference", submission, dirs_exist_ok=True)
    return [str(submission) for submission in made]


def check_against_pytest(bench: Bench) -> Comparison:
    labctl = Labctl(bench.folder)
    [submission] = _submissions(bench.folder, 1)
    words = ("check", EXERCISE.name, submission, "--only", CHECK)
    return bench.compare(
        "labctl check",
        {PYTEST: 1},
        None,
        {
            "labctl check": lambda: labctl.run(*words).milliseconds,
            PYTEST: _Pytest(bench.folder),
        },
    )


def grade_against_pytest(bench: Bench) -> Comparison:
    if not shutil.which("bwrap"):
        raise Unavailable("no sandbox: install bubblewrap")
    labctl = Labctl(bench.folder)
    submissions = _submissions(bench.folder, CLASS)
    options = ("-j", "1", "--again", "--out", str(bench.folder / "grades"))
    return bench.compare(
        "labctl grade",
        {PYTEST: CLASS},
        None,
        {
            "labctl grade": lambda: (
                labctl.run("grade", EXERCISE.name, *submissions, *options).milliseconds
            ),
            PYTEST: _Pytest(bench.folder),
        },
    )


ROWS = (
    Row("check", "labctl check, one check", check_against_pytest, 15, False),
    Row("grade", f"labctl grade, {CLASS} submissions", grade_against_pytest, 7, False),
)
