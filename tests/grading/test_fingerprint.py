import os
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.grading.fingerprint import fingerprint


def _folder(path: Path) -> Path:
    (path / "inner").mkdir(parents=True)
    (path / "a.py").write_text("one")
    (path / "inner" / "b").write_text("two")
    return path


def test_equal_folders_have_one_fingerprint_wherever_they_are(tmp_path: Path) -> None:
    one, other = _folder(tmp_path / "one"), _folder(tmp_path / "elsewhere" / "other")

    assert fingerprint(str(one)) == fingerprint(str(other))


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda path: (path / "a.py").write_text("ONE"),
    "name": lambda path: (path / "a.py").rename(path / "b.py"),
    "mode": lambda path: (path / "a.py").chmod(0o755),
    "more": lambda path: (path / "inner" / "c").touch(),
    "folder": lambda path: (path / "empty").mkdir(),
    "link": lambda path: (path / "link").symlink_to("a.py"),
    "pipe": lambda path: os.mkfifo(path / "pipe"),
    "moved": lambda path: (path / "inner" / "b").rename(path / "b"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_seen(tmp_path: Path, change: str) -> None:
    folder = _folder(tmp_path / "one")
    before = fingerprint(str(folder))
    CHANGES[change](folder)

    assert fingerprint(str(folder)) != before


def test_a_link_counts_as_what_it_says_not_as_what_it_leads_to(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "one")
    outside = tmp_path / "outside"
    outside.write_text("1")
    (folder / "link").symlink_to(outside)
    before = fingerprint(str(folder))
    outside.write_text("2")

    assert fingerprint(str(folder)) == before


@pytest.mark.parametrize("name", ["__pycache__", ".labctl", ".git"])
def test_what_tools_leave_behind_does_not_count(tmp_path: Path, name: str) -> None:
    folder = _folder(tmp_path / "one")
    before = fingerprint(str(folder))
    (folder / "inner" / name).mkdir()
    (folder / "inner" / name / "x").touch()

    assert fingerprint(str(folder)) == before


def test_names_cannot_pretend_to_be_another_folder(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
    (one / "ab").write_text("c")
    (other / "a").write_text("bc")

    assert fingerprint(str(one)) != fingerprint(str(other))


def test_a_large_file_is_known_by_size_and_time(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    before = fingerprint(str(path))
    os.utime(path, ns=(1, 1))

    assert fingerprint(str(path)) != before


def test_several_paths_count_in_their_order(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("1")
    other.write_text("2")

    assert fingerprint(str(one), str(other)) != fingerprint(str(other), str(one))


def test_what_is_missing_has_a_fingerprint_too(tmp_path: Path) -> None:
    (tmp_path / "one").touch()

    assert fingerprint(str(tmp_path / "none")) != fingerprint(str(tmp_path / "one"))
