import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.grading.content import content_problems, references
from labctl.grading.exercise import load_exercise
from tests.grading.whole_exercise import write_exercise

Harm = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_exercise(tmp_path)


def replace(file: str, old: str, new: str) -> Harm:
    def harm(folder: Path) -> None:
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new))

    return harm


def test_a_whole_exercise_has_no_problem(folder: Path) -> None:
    assert content_problems(str(folder)) == []


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (lambda folder: (folder / "hints.md").unlink(), 'there is no "hints.md"'),
        (lambda folder: shutil.rmtree(folder / "starter"), 'there is no "starter"'),
        (lambda folder: (folder / "notes.txt").touch(), '"notes.txt" is no part of an exercise'),
        (replace("README.md", "# Shout", "# Yell"), 'the heading is "# Yell"'),
        (replace("../README.md", "Shout", "Yell"), 'no row of the table has "Shout"'),
        (replace("../README.md", "01-shout/", "02-shout/"), 'no row of the table has "Shout"'),
        (replace("exercise.yaml", "title", "needs: [echo]\ntitle"), 'it needs "echo"'),
        (replace("exercise.yaml", "title", "lab: nowhere\ntitle"), 'there is no lab "nowhere"'),
        (replace("exercise.yaml", "title", "titel"), 'unknown key "titel"'),
        (replace("starter/shout.py", "TODO", "later"), "nothing in it says TODO"),
        (lambda folder: (folder / "reference/shout.py").unlink(), '"shout" is missing'),
        (replace("checks/test_shout.py", '"""it shouts', '"""It shouts'), "needs a docstring"),
        (replace("checks/test_shout.py", 'the word"""', 'the word."""'), "needs a docstring"),
        (replace("checks/test_shout.py", '"""it shouts the word"""', "pass"), "needs a docstring"),
        (replace("checks/test_shout.py", "import pytest", "import ("), "not Python"),
        (replace("checks/test_shout.py", "def test_", "def no_"), "there are no checks"),
        (replace("hints.md", "## it shouts", "## shouts"), 'no section is called "## it shouts'),
        (replace("hints.md", "Capitals.", "## more"), 'the section "more" belongs to no check'),
        (lambda folder: shutil.rmtree(folder / "faulty/quiet"), 'nor a folder "quiet"'),
        (lambda folder: (folder / "faulty/whispers.patch").unlink(), 'no "whispers.patch"'),
        (lambda folder: (folder / "faulty/new").mkdir(), '"new" is not named in exercise.yaml'),
        (replace("exercise.yaml", "test_ends_well", "test_x"), 'caught by "test_x", which is no'),
        (replace("exercise.yaml", "faulty:", "#"), "no known mistake is named"),
        (lambda folder: folder.rename(folder.parent / "shout"), "is not two digits"),
    ],
)
def test_each_thing_that_is_wrong_is_said(folder: Path, harm: Harm, problem: str) -> None:
    harm(folder)
    there = folder if folder.exists() else folder.parent / "shout"

    said = [str(error) for error in content_problems(str(there))]

    assert [line for line in said if problem in line], said


def test_what_python_leaves_is_not_looked_at(folder: Path) -> None:
    (folder / "__pycache__").mkdir()
    (folder / "starter" / "__pycache__").mkdir()

    assert content_problems(str(folder)) == []


def test_there_may_be_a_reference_in_another_language(folder: Path) -> None:
    shutil.copytree(folder / "reference", folder / "reference-c")

    found = references(load_exercise(str(folder)))

    assert [Path(path).name for path in found] == ["reference", "reference-c"]
    assert content_problems(str(folder)) == []
