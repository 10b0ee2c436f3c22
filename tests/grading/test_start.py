import stat
from pathlib import Path

import pytest

from labctl.errors import LabError
from labctl.grading.start import start_exercise, work_folder
from tests.grading.folders import names_in
from tests.grading.shout import STARTER, make_shout


def test_a_learner_gets_the_starter_and_what_to_read_and_nothing_else(tmp_path: Path) -> None:
    exercise = make_shout(tmp_path)
    names = start_exercise(exercise, str(tmp_path / "mine"))

    assert sorted(names) == ["README.md", "hints.md", "shout.py"]
    assert names_in(tmp_path / "mine") == sorted(names)
    assert (tmp_path / "mine" / "shout.py").read_text() == STARTER


def test_the_usual_place_is_named_after_the_exercise(tmp_path: Path) -> None:
    assert work_folder(make_shout(tmp_path)) == "work/01-shout"


def test_modes_folders_and_links_come_along_and_caches_do_not(tmp_path: Path) -> None:
    exercise = make_shout(tmp_path)
    starter = Path(exercise.folder, "starter")
    (starter / "src" / "__pycache__").mkdir(parents=True)
    (starter / "src" / "__pycache__" / "x.pyc").touch()
    (starter / "src" / "run").write_text("#!/bin/sh\n")
    (starter / "src" / "run").chmod(0o555)
    (starter / "link").symlink_to("src")
    start_exercise(exercise, str(tmp_path / "mine"))
    copy = tmp_path / "mine"

    assert stat.S_IMODE((copy / "src" / "run").stat().st_mode) == 0o755
    assert (copy / "link").readlink() == Path("src")
    assert names_in(copy / "src") == ["run"]


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (["hints.md"], '"hints.md" is there already'),
        (["shout.py", "hints.md"], '"hints.md" and "shout.py" are there already'),
    ],
)
def test_what_is_there_is_named_and_left_alone(tmp_path: Path, there: list[str], said: str) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in there:
        (mine / name).write_text("mine")
    with pytest.raises(LabError, match=said) as error:
        start_exercise(make_shout(tmp_path), str(mine))

    assert error.value.where == str(mine)
    assert "OTHER-FOLDER" in error.value.hint
    assert names_in(mine) == sorted(there)
    assert {(mine / name).read_text() for name in there} == {"mine"}


def test_a_link_that_leads_nowhere_is_something_that_is_there(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "shout.py").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LabError, match=r'"shout\.py" is there already'):
        start_exercise(make_shout(tmp_path), str(mine))

    assert not (tmp_path / "elsewhere").exists()


def test_other_files_in_the_folder_do_no_harm(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    start_exercise(make_shout(tmp_path), str(mine))

    assert (mine / "notes.txt").read_text() == "mine"
    assert (mine / "shout.py").exists()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(LabError, match="is there already, and is no folder"):
        start_exercise(make_shout(tmp_path), str(tmp_path / "mine"))


def test_an_exercise_without_starter_says_so(tmp_path: Path) -> None:
    exercise = make_shout(tmp_path)
    Path(exercise.folder, "starter", "shout.py").unlink()
    Path(exercise.folder, "starter").rmdir()
    with pytest.raises(LabError, match='nothing to start from in "shout"'):
        start_exercise(exercise, str(tmp_path / "mine"))

    assert not (tmp_path / "mine").exists()
