from pathlib import Path

import pytest

from labctl.errors import LabError
from labctl.topology.find import find_lab, list_labs, read_lab_file

LAB = "# What it is for.\nname: x\nnodes: [a]\n"


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The current folder, empty, and another with the labs star and pair below labs/."""
    here, other = tmp_path / "here", tmp_path / "other"
    (other / "labs").mkdir(parents=True)
    here.mkdir()
    (other / "labs" / "pair.yaml").write_text(LAB)
    (other / "labs" / "star.yaml.j2").write_text("{# no comment line #}\n" + LAB)
    monkeypatch.chdir(here)
    return here, other


def test_a_name_is_found_in_labs_of_each_folder(folders: tuple[Path, Path]) -> None:
    _, other = folders

    assert find_lab("pair", [".", str(other)]) == str(other / "labs" / "pair.yaml")
    assert find_lab("star", [".", str(other)]) == str(other / "labs" / "star.yaml.j2")


def test_the_first_folder_wins(folders: tuple[Path, Path]) -> None:
    here, other = folders
    (here / "pair.yaml").write_text(LAB)

    assert find_lab("pair", [".", str(other)]) == "pair.yaml"


def test_a_path_is_taken_as_it_is(folders: tuple[Path, Path]) -> None:
    here, _ = folders
    (here / "mine.yaml").write_text(LAB)
    (here / "odd.txt").write_text(LAB)

    assert find_lab("mine.yaml", []) == "mine.yaml"
    assert find_lab("./odd.txt", []) == "./odd.txt"


def test_an_unknown_name_comes_with_the_nearest_one_and_all_there_are(
    folders: tuple[Path, Path],
) -> None:
    _, other = folders

    with pytest.raises(LabError, match='there is no lab "stra"') as raised:
        find_lab("stra", [".", str(other)])

    assert raised.value.hint == 'did you mean "star"? the labs here are: pair, star'


def test_a_missing_file_comes_with_the_lab_of_that_name(folders: tuple[Path, Path]) -> None:
    _, other = folders

    with pytest.raises(LabError, match=r'there is no file "pair\.yaml"') as raised:
        find_lab("pair.yaml", [".", str(other)])

    assert raised.value.hint.startswith('did you mean "pair"?')


def test_a_search_that_finds_no_labs_at_all_says_where_it_looked(
    folders: tuple[Path, Path],
) -> None:
    with pytest.raises(LabError) as raised:
        find_lab("pair", ["."])

    assert raised.value.hint == "there are no labs in the current folder, nor in its labs/"


@pytest.mark.parametrize("name", ["", "\0", "a\0.yaml", "x" * 300])
def test_a_name_that_no_file_can_have_is_unknown(name: str, folders: tuple[Path, Path]) -> None:
    with pytest.raises(LabError):
        find_lab(name, [".", str(folders[1])])


def test_a_folder_is_not_a_lab(folders: tuple[Path, Path]) -> None:
    with pytest.raises(LabError, match="a folder is not a lab"):
        find_lab(str(folders[1]) + "/", [])


def test_labs_are_listed_with_their_first_comment_line(folders: tuple[Path, Path]) -> None:
    _, other = folders

    assert list_labs([".", str(other)]) == [
        ("pair", str(other / "labs" / "pair.yaml"), "What it is for."),
        ("star", str(other / "labs" / "star.yaml.j2"), "What it is for."),
    ]


def test_a_yaml_file_that_is_no_lab_is_not_listed(folders: tuple[Path, Path]) -> None:
    here, _ = folders
    (here / "compose.yaml").write_text("services: {}\n")
    (here / "folder.yaml").mkdir()

    assert list_labs(["."]) == []


def test_the_editors_line_is_not_the_purpose(folders: tuple[Path, Path]) -> None:
    here, _ = folders
    (here / "a.yaml").write_text("# yaml-language-server: $schema=x\n" + LAB)

    assert list_labs(["."]) == [("a", "a.yaml", "What it is for.")]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="the lab file cannot be read: no such file") as raised:
        read_lab_file(str(tmp_path / "gone.yaml"))

    assert raised.value.where == str(tmp_path / "gone.yaml")


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(LabError, match="more than 4000000 bytes"):
        read_lab_file(str(huge))
