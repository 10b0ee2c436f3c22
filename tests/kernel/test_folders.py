"""Emptying a folder."""

from pathlib import Path

from labctl.kernel.folders import empty_folder


def test_a_folder_is_emptied_but_for_one_file(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    (tmp_path / "holder").write_text("x")
    (tmp_path / "logs" / "deep").mkdir(parents=True)
    (tmp_path / "logs" / "deep" / "a").touch()
    empty_folder(str(tmp_path), but="lock")
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_a_link_is_removed_and_what_it_leads_to_is_left(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(kept)
    empty_folder(str(folder))
    assert list(folder.iterdir()) == []
    assert (kept / "file").exists()


def test_a_folder_that_is_gone_is_empty(tmp_path: Path) -> None:
    empty_folder(str(tmp_path / "gone"))
