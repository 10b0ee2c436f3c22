from pathlib import Path

import pytest

from labctl.errors import LabError
from labctl.grading.syllabus import exercise_folders, find_exercise

TEXT = "title: {title}\nteaches: [sockets]\nprograms: {{server: PORT}}\n"


def make(folder: Path, directory: str, title: str = "One") -> Path:
    made = folder / "exercises" / directory
    made.mkdir(parents=True)
    (made / "exercise.yaml").write_text(TEXT.format(title=title))
    return made


def test_exercises_come_in_teaching_order(tmp_path: Path) -> None:
    for directory in ("10-z", "02-b", "01-a"):
        make(tmp_path, directory)
    (tmp_path / "exercises" / "no-exercise").mkdir()

    found = exercise_folders([str(tmp_path), str(tmp_path / "missing")])

    assert [Path(folder).name for folder in found] == ["01-a", "02-b", "10-z"]


def test_one_of_the_users_own_hides_the_bundled_one_of_that_name(tmp_path: Path) -> None:
    make(tmp_path / "mine", "01-a", "mine")
    make(tmp_path / "bundled", "07-a", "bundled")

    found = find_exercise("a", [str(tmp_path / "mine"), str(tmp_path / "bundled")])

    assert found.title == "mine"


@pytest.mark.parametrize("name", ["udp-time", "03-udp-time", "03", "3"])
def test_the_number_or_the_name_may_be_left_out(tmp_path: Path, name: str) -> None:
    make(tmp_path, "03-udp-time")
    make(tmp_path, "30-ping")

    assert find_exercise(name, [str(tmp_path)]).slug == "udp-time"


def test_a_number_that_two_have_is_no_name(tmp_path: Path) -> None:
    make(tmp_path / "mine", "03-mine")
    make(tmp_path / "bundled", "03-udp-time")

    with pytest.raises(LabError, match="several exercises have the number 3") as raised:
        find_exercise("3", [str(tmp_path / "mine"), str(tmp_path / "bundled")])

    assert "03-mine" in raised.value.hint
    assert "03-udp-time" in raised.value.hint


def test_a_path_is_an_exercise_too(tmp_path: Path) -> None:
    assert find_exercise(str(make(tmp_path, "03-x")), []).slug == "x"


def test_a_name_that_is_nearly_right_is_understood_as_far_as_a_hint(tmp_path: Path) -> None:
    make(tmp_path, "03-udp-time")

    with pytest.raises(LabError, match='there is no exercise "udp-tim"') as raised:
        find_exercise("udp-tim", [str(tmp_path)])

    assert 'did you mean "udp-time"?' in raised.value.hint


def test_where_there_are_none_the_hint_says_where_they_are_looked_for(tmp_path: Path) -> None:
    with pytest.raises(LabError) as raised:
        find_exercise("x", [str(tmp_path)])

    assert "LABCTL_PATH" in raised.value.hint
