import os
from pathlib import Path

import pytest

from labctl.errors import LabError
from labctl.observe.graph_output import choose_format, write_picture


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.svg", "svg"),
        ("a.b/c.MMD", "mermaid"),
        ("x.gv", "dot"),
        ("x.txt", "text"),
        ("x.json", "json"),
    ],
)
def test_the_ending_of_the_file_says_the_format(path: str, expected: str) -> None:
    assert choose_format(None, path, on_terminal=True) == expected


def test_what_is_asked_for_comes_before_the_ending() -> None:
    assert choose_format("dot", "a.svg", on_terminal=True) == "dot"
    assert choose_format("dot", "README", on_terminal=True) == "dot"


def test_without_a_file_a_terminal_gets_text_and_a_pipe_gets_mermaid() -> None:
    assert choose_format(None, "", on_terminal=True) == "text"
    assert choose_format(None, "", on_terminal=False) == "mermaid"


def test_an_ending_nobody_knows_names_those_that_are_known() -> None:
    with pytest.raises(LabError) as caught:
        choose_format(None, "lab.bmp", on_terminal=False)
    assert str(caught.value) == 'lab.bmp: the ending ".bmp" says nothing about the format'
    assert ".svg" in caught.value.hint
    assert "--format" in caught.value.hint


def test_a_bitmap_is_left_to_graphviz() -> None:
    with pytest.raises(LabError) as caught:
        choose_format(None, "lab.png", on_terminal=False)
    assert "dot -Tpng -o lab.png" in caught.value.hint


def test_a_picture_replaces_the_old_one_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "lab.svg"
    path.write_text("old")
    path.chmod(0o640)
    write_picture(str(path), "new ──\n")
    assert path.read_text(encoding="utf-8") == "new ──\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_picture_has_the_mode_that_the_umask_asks_for(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    write_picture(str(tmp_path / "lab.svg"), "new")
    assert (tmp_path / "lab.svg").stat().st_mode == plain.stat().st_mode


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.svg").write_text("old")
    (tmp_path / "link.svg").symlink_to("real.svg")
    write_picture(str(tmp_path / "link.svg"), "new")
    assert (tmp_path / "link.svg").is_symlink()
    assert (tmp_path / "real.svg").read_text() == "new"


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError) as caught:
        write_picture(str(tmp_path), "x")
    assert caught.value.problem == "is a directory"
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_picture(str(pipe), "through")
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_a_folder_that_does_not_exist_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LabError) as caught:
        write_picture(str(tmp_path / "nowhere" / "lab.svg"), "x")
    assert caught.value.problem == "cannot write the picture: no such file or directory"
    assert caught.value.exit_code == 2


def test_nothing_half_written_remains(tmp_path: Path) -> None:
    path = tmp_path / "lab.svg"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_picture(str(path), "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
