"""Every exercise judges as it should: what ``labctl verify`` says, exercise by exercise."""

from pathlib import Path

import pytest

from labctl.grading.syllabus import exercise_folders
from labctl.grading.verify import verify
from labctl.programs.sandbox import why_no_sandbox
from tests.exercises.running import EXERCISES

FOLDERS = exercise_folders([str(EXERCISES.parent)])


@pytest.mark.kernel
@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: Path(folder).name)
def test_starter_fails_references_pass_and_each_mistake_is_caught(folder: str) -> None:
    assert not why_no_sandbox()

    verified = verify([folder], seeds=5, jobs=4)

    assert verified.trials
    said = [f"{each}\n  hint: {each.hint}\n{each.output}" for each in verified.problems]
    assert not said, "\n".join(said)
