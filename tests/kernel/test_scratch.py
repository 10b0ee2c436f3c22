"""Folders that are removed, if not by whoever made them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.kernel import scratch
from labctl.kernel.scratch import remove_abandoned, scratch_folder

CRASHES = """
import os, signal
from labctl.kernel.scratch import scratch_folder
with scratch_folder("labctl-test-") as folder:
    open(f"{folder}/kept", "w").close()
    print(folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give this process a folder for its registrations alone."""
    folder = tmp_path / "base"
    folder.mkdir()
    monkeypatch.setattr(scratch, "base_directory", lambda: str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def _crashed(base: Path) -> Path:
    script = (
        f"import labctl.kernel.scratch as s; s.base_directory = lambda: {str(base)!r}\n{CRASHES}"
    )
    made = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    return Path(made.stdout.strip())


def test_a_folder_lives_as_long_as_its_block() -> None:
    with scratch_folder("labctl-test-") as folder:
        (Path(folder) / "file").touch()

        assert remove_abandoned() == []
        assert Path(folder).stat().st_mode & 0o777 == 0o700
    assert not Path(folder).exists()


def test_what_a_killed_process_left_is_removed(base: Path) -> None:
    left = _crashed(base)
    assert (left / "kept").exists()

    assert remove_abandoned() == [str(left)]
    assert not left.exists()
    assert remove_abandoned() == []


def test_a_folder_that_is_another_by_now_is_left_alone(base: Path) -> None:
    left = _crashed(base)
    aside = left.with_name(f"{left.name}-aside")
    left.rename(aside)  # so that its inode is not used again
    left.mkdir()
    try:
        assert remove_abandoned() == []
        assert left.exists()
    finally:
        left.rmdir()
        (aside / "kept").unlink()
        aside.rmdir()


def test_a_block_whose_folder_has_gone_ends_as_well() -> None:
    with scratch_folder("labctl-test-") as folder:
        Path(folder).rmdir()
