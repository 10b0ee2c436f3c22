import shutil
from pathlib import Path

import pytest

from labctl.errors import LabError
from labctl.grading.exercise import load_exercise
from labctl.grading.mistakes import make_mistake, mistakes_in, need_patch
from tests.grading.whole_exercise import write_exercise


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_exercise(tmp_path)


def made(folder: Path, name: str) -> str:
    submission = folder.parent / name
    make_mistake(load_exercise(str(folder)), name, str(submission))
    assert [path.name for path in submission.iterdir()] == ["shout.py"]
    return (submission / "shout.py").read_text()


def test_a_patch_changes_a_few_lines_of_the_reference(folder: Path) -> None:
    assert made(folder, "whispers") == "import sys\nprint(sys.argv[1].lower())\n"


def test_the_files_of_a_folder_take_the_place_of_those_in_the_reference(folder: Path) -> None:
    assert made(folder, "quiet") == "raise SystemExit(1)\n"


def test_mistakes_have_the_name_of_their_patch_or_folder(folder: Path) -> None:
    assert mistakes_in(load_exercise(str(folder))) == {
        "quiet": str(folder / "faulty/quiet"),
        "whispers": str(folder / "faulty/whispers.patch"),
    }


def test_a_patch_that_does_not_fit_any_more_is_said_to_be_one(folder: Path) -> None:
    (folder / "reference/shout.py").write_text("import sys\nprint(sys.argv[1].title())\n")

    with pytest.raises(LabError, match="the patch does not fit the reference") as raised:
        made(folder, "whispers")

    assert raised.value.where == str(folder / "faulty/whispers.patch")
    assert "diff -u reference/FILE" in raised.value.hint
    assert "Hunk #1 FAILED" in raised.value.output


def test_a_patch_fits_although_lines_above_it_were_added(folder: Path) -> None:
    reference = folder / "reference/shout.py"
    reference.write_text("# Shouts.\n\n\n\n" + reference.read_text())

    assert made(folder, "whispers").endswith("import sys\nprint(sys.argv[1].lower())\n")


def test_there_is_no_mistake_of_that_name(folder: Path) -> None:
    with pytest.raises(LabError, match='there is no mistake "mumbles"'):
        made(folder, "mumbles")


def test_where_patch_is_missing_it_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exercise = load_exercise(str(folder))
    need_patch(exercise)
    monkeypatch.setenv("PATH", str(folder))

    with pytest.raises(LabError, match="patch is not installed") as raised:
        need_patch(exercise)

    assert raised.value.hint == "sudo apt-get install patch"
    (folder / "faulty/whispers.patch").unlink()
    shutil.rmtree(folder / "faulty/quiet")
    need_patch(exercise)
