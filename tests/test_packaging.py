"""What `pip install` gets: the program, the labs and the exercises, and a launcher without ballast."""

import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.checkers import CHECKOUT, output_of, run_tool

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return _build(CHECKOUT, "wheel", tmp_path_factory.mktemp("wheel"))


def _build(source: Path, target: str, folder: Path) -> Path:
    done = run_tool(
        "hatchling", "build", "--target", target, "--directory", str(folder), folder=source
    )
    assert done.returncode == 0, output_of(done)
    [built] = folder.iterdir()
    return built


def _files(folder: str) -> set[str]:
    return {
        str(path.relative_to(CHECKOUT))
        for path in (CHECKOUT / folder).rglob("*")
        if path.is_file() and not {"__pycache__", ".labctl"} & set(path.parts)
    }


def test_the_wheel_carries_labs_and_exercises(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    carried = _files("labs") | _files("exercises")
    assert carried
    assert {f"labctl/bundled/{name}" for name in carried} <= names


def test_the_wheel_carries_the_program_and_nothing_of_the_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    assert _files("labctl") <= names
    assert not {name for name in names if name.startswith(("tests/", "benchmarks/"))}


def test_an_installer_puts_its_interpreter_into_the_launcher(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    [script] = [name for name in archive.namelist() if name.endswith(".data/scripts/labctl")]

    # The exact first line that the wheel format asks for.
    source = archive.read(script)
    assert source.startswith(b"#!python\n")
    # What pip's own launcher needs it for is not worth 5 ms of every command.
    assert b"import re" not in source


def test_the_source_archive_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    for name in ("sdist", "source", "wheel"):
        (tmp_path / name).mkdir()
    archive = _build(CHECKOUT, "sdist", tmp_path / "sdist")
    # tarfile's own extraction either warns or lacks the argument that stops the warning.
    subprocess.run(["tar", "-xf", archive, "-C", tmp_path / "source"], check=True)
    [source] = (tmp_path / "source").iterdir()
    # What somebody leaves there who checks a reference is no part of it.
    results = source / "exercises" / "03-udp-time" / "reference" / ".labctl" / "results"
    results.mkdir(parents=True)
    (results / "report.txt").touch()

    rebuilt = _build(source, "wheel", tmp_path / "wheel")

    assert rebuilt.read_bytes() == wheel.read_bytes()


def test_the_source_archive_carries_what_make_test_needs(tmp_path: Path) -> None:
    with tarfile.open(_build(CHECKOUT, "sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"Makefile", "Vagrantfile", ".ci/run", "pyproject.toml", "bin/labctl"} <= names
    assert _files("tests") | _files("benchmarks") <= names
