from pathlib import Path

import pytest

from labctl.errors import LabError
from labctl.grading.exercise import load_exercise, slug_of

SMALLEST = "title: Echo\nteaches: [sockets]\nprograms: {server: PORT}\n"


def exercise(folder: Path, text: str) -> Path:
    made = folder / "07-echo"
    made.mkdir()
    (made / "exercise.yaml").write_text(text)
    return made


def test_the_smallest_exercise_has_defaults_for_the_rest(tmp_path: Path) -> None:
    loaded = load_exercise(str(exercise(tmp_path, SMALLEST)))

    assert (loaded.slug, loaded.directory, loaded.title) == ("echo", "07-echo", "Echo")
    assert loaded.lab == "alone"
    assert loaded.programs == {"server": "PORT"}
    assert loaded.limits.memory_bytes == 512 << 20
    assert not loaded.grants_raw
    assert loaded.checks_folder == str(tmp_path / "07-echo" / "checks")


def test_everything_that_it_says_is_there(tmp_path: Path) -> None:
    text = SMALLEST + (
        "needs: [addrbind]\nlab: star\nparameters: {clients: 3, quick: true}\n"
        "limits: {check_seconds: 5, memory_mb: 64, processes: 8, output_kb: 16, cpu_seconds: 2,"
        " open_files: 32, scratch_mb: 4}\n"
        "grants: [raw]\nfaulty: {one: test_a, two: [test_a, test_b]}\n"
    )

    loaded = load_exercise(str(exercise(tmp_path, text)))

    assert loaded.needs == ("addrbind",)
    assert (loaded.lab, loaded.parameters) == ("star", {"clients": "3", "quick": "true"})
    assert loaded.check_seconds == 5
    assert loaded.limits.memory_bytes == 64 << 20
    assert loaded.limits.output_bytes == 16 << 10
    assert (loaded.limits.processes, loaded.limits.cpu_s) == (8, 2)
    assert loaded.limits.open_files == 32
    assert loaded.limits.scratch_bytes == 4 << 20
    assert loaded.grants_raw
    assert loaded.faulty == {"one": ("test_a",), "two": ("test_a", "test_b")}


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        (SMALLEST + "titel: x\n", 'unknown key "titel"', "title"),
        (SMALLEST + "limits: {memory: 3}\n", 'unknown key "limits.memory"', "memory_mb"),
        ("title: x\nteaches: [a]\n", 'the key "programs" is missing', "programs"),
        (SMALLEST + "limits: {processes: 1}\n", '"limits.processes"', ""),
        (SMALLEST + "grants: [root]\n", '"grants.0"', ""),
        ("- a list\n", "not a mapping", ""),
        ("", "not a mapping", ""),
        ("a: [", "not YAML", ""),
    ],
)
def test_what_is_wrong_with_it_is_said(tmp_path: Path, text: str, problem: str, hint: str) -> None:
    with pytest.raises(LabError) as raised:
        load_exercise(str(exercise(tmp_path, text)))

    assert problem in raised.value.problem
    assert hint in raised.value.hint
    assert "07-echo/exercise.yaml" in raised.value.where


def test_a_folder_without_the_file_is_no_exercise(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no such file"):
        load_exercise(str(tmp_path))


@pytest.mark.parametrize(
    ("directory", "slug"), [("03-udp-time", "udp-time"), ("mine", "mine"), ("a-b", "a-b")]
)
def test_the_number_is_not_part_of_the_name(directory: str, slug: str) -> None:
    assert slug_of(directory) == slug
