import os
import shutil
from pathlib import Path

import pytest

from labctl.errors import LabError, LabErrors
from labctl.grading.exercise import Exercise
from labctl.grading.handed_in import HandedIn, find_handed_in, open_handed_in
from tests.grading.shout import RIGHT, hand_in, make_shout


@pytest.fixture
def exercise(tmp_path: Path) -> Exercise:
    return make_shout(tmp_path)


def _opened(path: Path, exercise: Exercise, tmp_path: Path) -> dict[str, bytes]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    folder = Path(open_handed_in(HandedIn("x", str(path)), exercise, str(scratch)))
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}


SHOUT = {"shout.py": RIGHT.encode()}


def test_a_folder_is_taken_as_it_is(tmp_path: Path, exercise: Exercise) -> None:
    assert _opened(hand_in(tmp_path, "anna"), exercise, tmp_path) == SHOUT


@pytest.mark.parametrize("kind", ["zip", "gztar"])
def test_an_archive_is_unpacked(tmp_path: Path, exercise: Exercise, kind: str) -> None:
    archive = shutil.make_archive(str(tmp_path / "a"), kind, hand_in(tmp_path, "anna"))

    assert _opened(Path(archive), exercise, tmp_path) == SHOUT


def test_an_archive_with_one_folder_in_it_is_that_folder(
    tmp_path: Path, exercise: Exercise
) -> None:
    made = hand_in(tmp_path / "in", "project")
    # What a Mac adds.
    (made.parent / "__MACOSX").mkdir()
    (made.parent / ".DS_Store").touch()
    archive = shutil.make_archive(str(tmp_path / "a"), "zip", made.parent)

    assert _opened(Path(archive), exercise, tmp_path) == SHOUT


def test_a_folder_with_one_archive_in_it_is_what_is_in_the_archive(
    tmp_path: Path, exercise: Exercise
) -> None:
    folder = tmp_path / "Anna_4711_assignsubmission_file"
    folder.mkdir()
    shutil.make_archive(str(folder / "work"), "zip", hand_in(tmp_path / "in", "project").parent)

    assert _opened(folder, exercise, tmp_path) == SHOUT


def test_a_single_file_gets_the_name_of_the_only_program(
    tmp_path: Path, exercise: Exercise
) -> None:
    file = tmp_path / "annabauer_123_4567_shout-2.py"
    file.write_text(RIGHT)

    assert _opened(file, exercise, tmp_path) == SHOUT


def test_a_single_file_keeps_its_name_where_it_could_be_any_program(
    tmp_path: Path, exercise: Exercise
) -> None:
    file = tmp_path / "client.py"
    file.write_text(RIGHT)
    exercise = exercise._replace(programs={"server": "", "client": ""})

    assert list(_opened(file, exercise, tmp_path)) == ["client.py"]


def test_a_link_leads_nobody_out_of_the_submission(tmp_path: Path, exercise: Exercise) -> None:
    secret = hand_in(tmp_path, "secret")
    for name in ("folder", "work.zip"):
        submission = tmp_path / f"anna-{name}"
        submission.mkdir()
        (submission / name).symlink_to(secret)
        scratch = tmp_path / f"scratch-{name}"
        scratch.mkdir()
        opened = open_handed_in(HandedIn("x", str(submission)), exercise, str(scratch))
        assert opened == str(submission)


def test_a_bad_archive_is_refused_with_its_name(tmp_path: Path, exercise: Exercise) -> None:
    (tmp_path / "a.zip").write_bytes(b"nothing")
    with pytest.raises(LabError, match=r"a\.zip: the archive cannot be unpacked"):
        _opened(tmp_path / "a.zip", exercise, tmp_path)


def _names(*paths: Path) -> list[str]:
    return [submission.name for submission in find_handed_in([str(path) for path in paths])]


def test_a_submission_is_called_as_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "anna").mkdir()
    for name in ("ben.zip", "carla.tar.gz", "dora.py"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path / "anna")

    assert _names(*sorted(tmp_path.iterdir())) == ["anna", "ben", "carla", "dora.py"]
    assert _names(Path()) == ["anna"]


def test_two_of_one_name_are_refused_by_their_paths(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "anna").mkdir(parents=True)
    with pytest.raises(LabErrors) as errors:
        _names(tmp_path / "one" / "anna", tmp_path / "two" / "anna", tmp_path / "none")

    said = [str(error) for error in errors.value.problems]
    assert len(said) == 2
    assert f'"{tmp_path}/one/anna" and "{tmp_path}/two/anna"' in said[0]
    assert said[1] == f'there is no submission "{tmp_path}/none"'


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2Jx", "\u202e", "x" * 255, "é" * 127, b"\xff\xfe"])
def test_a_hostile_name_is_one_that_can_be_shown_and_be_a_folder(
    tmp_path: Path, name: str | bytes
) -> None:
    path = tmp_path / os.fsdecode(name)
    path.mkdir()
    [found] = find_handed_in([str(path)])

    assert found.name.isprintable()
    assert "/" not in found.name
    assert found.path == str(path)
    (tmp_path / "out" / found.name).mkdir(parents=True)


def test_long_names_that_begin_alike_stay_different(tmp_path: Path) -> None:
    paths = [tmp_path / ("x" * 240 + end) for end in "ab"]
    for path in paths:
        path.mkdir()

    assert len(set(_names(*paths))) == 2
