import json
import os
from pathlib import Path

import pytest

from labctl.grading.files import write_file, write_json
from tests.grading.folders import names_in


def test_a_file_is_replaced_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old and longer")
    write_file(str(path), "new")

    assert path.read_text() == "new"
    assert names_in(tmp_path) == ["a.txt"]


def test_whoever_has_the_old_file_open_keeps_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with path.open() as reader:
        write_file(str(path), "new")
        assert reader.read() == "old"


def test_what_a_killed_process_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / ".a.txt.new").write_text("half")
    write_file(str(tmp_path / "a.txt"), "whole")

    assert names_in(tmp_path) == ["a.txt"]


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_file(str(pipe), "text")

    assert os.read(reader, 10) == b"text"
    assert pipe.is_fifo()
    os.close(reader)


def test_a_link_stays_a_link_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    write_file(str(tmp_path / "link"), "text")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "text"


@pytest.mark.parametrize("text", ["grün ✗", "half a letter: \ud800", "\x00\x1b"])
def test_json_is_ascii_and_comes_back(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    write_json(str(path), {"text": text})

    assert path.read_bytes().isascii()
    assert json.loads(path.read_text()) == {"text": text}


def test_half_a_letter_does_not_stop_a_text_file(tmp_path: Path) -> None:
    write_file(str(tmp_path / "a.txt"), "half: \ud800")

    assert (tmp_path / "a.txt").read_text() == "half: \\ud800"
