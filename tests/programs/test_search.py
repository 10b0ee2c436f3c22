from pathlib import Path

import pytest

from labctl.programs.search import bundled_directory, search_path


def test_the_current_folder_comes_first_then_the_users_own_then_the_bundled_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LABCTL_PATH", "/one::/two")

    assert search_path() == [".", "/one", "/two", bundled_directory()]


def test_without_a_path_of_ones_own_there_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABCTL_PATH", raising=False)

    assert search_path() == [".", bundled_directory()]


def test_the_bundled_folder_has_labs_and_exercises() -> None:
    assert (Path(bundled_directory()) / "labs").is_dir()
    assert (Path(bundled_directory()) / "exercises").is_dir()
