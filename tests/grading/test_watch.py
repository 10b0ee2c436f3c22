from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.errors import LabError
from labctl.grading.watch import changes


@pytest.fixture
def told(tmp_path: Path) -> Iterator[list[str]]:
    """What is told of the folder, which is being watched by now."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.py").write_text("1")
    watched = changes(str(tmp_path))
    assert next(watched) == []
    return watched


def test_a_change_is_told_by_its_name(tmp_path: Path, told: Iterator[list[str]]) -> None:
    # One event. To write anew is two, of which the second may come too late to be told with it.
    with (tmp_path / "a.py").open("a") as file:
        file.write("2")
    assert next(told) == ["a.py"]

    (tmp_path / "inner" / "b.c").touch()
    assert next(told) == ["inner/b.c"]


def test_changes_while_nobody_listens_are_told_together(
    tmp_path: Path, told: Iterator[list[str]]
) -> None:
    (tmp_path / "b.py").touch()
    (tmp_path / "a.py").unlink()

    names = set(next(told))
    while names != {"a.py", "b.py"}:
        names.update(next(told))


@pytest.mark.parametrize(
    "name", [".labctl/x", "__pycache__/a.pyc", ".git/index", ".a.py.swp", "a.o", "a.py~"]
)
def test_what_programs_leave_beside_the_sources_is_no_change(
    tmp_path: Path, told: Iterator[list[str]], name: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    (tmp_path / "a.py").write_text("2")

    assert next(told) == ["a.py"]


def test_a_folder_that_is_not_there_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="changes cannot be watched") as error:
        next(changes(str(tmp_path / "none")))

    assert error.value.where == str(tmp_path / "none")
