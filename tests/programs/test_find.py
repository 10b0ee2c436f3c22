import sys
from pathlib import Path

import pytest

from labctl.errors import LabError
from labctl.programs.find import find_program, known_programs


def _program(path: Path, *, executable: bool = True) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755 if executable else 0o644)
    return str(path)


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = _program(tmp_path / "server")

    assert find_program(path, []) == [path]


def test_python_files_are_run_by_labctls_own_python(tmp_path: Path) -> None:
    path = _program(tmp_path / "server.py", executable=False)

    assert find_program(path, []) == [sys.executable, path]
    assert find_program("server", [str(tmp_path)]) == [sys.executable, path]


def test_a_name_is_looked_for_in_each_folder_in_turn(tmp_path: Path) -> None:
    second = _program(tmp_path / "two" / "server")
    folders = [str(tmp_path / "one"), str(tmp_path / "two")]
    assert find_program("server", folders) == [second]
    first = _program(tmp_path / "one" / "server")

    assert find_program("server", folders) == [first]


def test_a_file_that_is_not_executable_does_not_count_by_name(tmp_path: Path) -> None:
    _program(tmp_path / "ls", executable=False)

    assert find_program("ls", [str(tmp_path)]) == ["ls"]


def test_reference_programs_of_exercises_are_found_by_name(tmp_path: Path) -> None:
    path = _program(tmp_path / "exercises" / "01-x" / "reference" / "echo_server.py")

    assert find_program("echo_server", [str(tmp_path)]) == [sys.executable, path]
    assert known_programs([str(tmp_path)]) == ["echo_server"]


def test_a_path_to_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="there is no program"):
        find_program(f"{tmp_path}/server", [])


def test_a_file_that_is_not_executable_is_an_error_with_the_remedy(tmp_path: Path) -> None:
    path = _program(tmp_path / "server", executable=False)
    with pytest.raises(LabError, match="is not executable") as error:
        find_program(path, [])

    assert error.value.hint == f"chmod +x {path}"


def test_a_misspelt_name_is_corrected(tmp_path: Path) -> None:
    _program(tmp_path / "exercises" / "01-x" / "reference" / "echo_server.py")
    with pytest.raises(LabError, match='there is no program "echo_sever"') as error:
        find_program("echo_sever", [str(tmp_path)])

    assert error.value.hint == 'did you mean "echo_server"?'
