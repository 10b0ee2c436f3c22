"""The pytest plugin as a course uses it: outside of this repository, with pytest itself."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.grading.workshop import make_exercise, make_submission

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

CHECKS = '''
@pytest.mark.points(1)
def test_greets(lab, submission):
    """it greets"""
    said = submission.run("client", "program").stdout
    expect_equal(said, b"hello\\n", "stdout", "print it")

@pytest.mark.needs("test_greets")
def test_greets_again(lab, submission):
    """it greets again"""
'''


def _pytest(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )


def test_checks_run_by_pytest_alone(tmp_path: Path) -> None:
    exercise = make_exercise(tmp_path, CHECKS)
    good = make_submission(tmp_path, {"program.py": "print('hello')"})

    done = _pytest("--submission", str(good), exercise.checks_folder, cwd=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_a_failure_is_told_without_a_traceback_and_blocks_what_needs_it(tmp_path: Path) -> None:
    exercise = make_exercise(tmp_path, CHECKS)
    bad = make_submission(tmp_path, {"program.py": "print('bye')"})

    done = _pytest("--submission", str(bad), exercise.checks_folder, cwd=tmp_path)

    assert done.returncode == 1
    assert "expected: stdout: 'hello\\n'" in done.stdout
    assert "actual: stdout: 'bye\\n'" in done.stdout
    assert "hint: print it" in done.stdout
    assert "Traceback" not in done.stdout
    assert "expect_equal" not in done.stdout
    assert 'not checked: "it greets" has to pass first' in done.stdout


def test_an_ordinary_test_beside_checks_has_its_traceback(tmp_path: Path) -> None:
    ordinary = "\ndef test_ordinary():\n    number = 1  # in the source\n    assert number == 2\n"
    exercise = make_exercise(tmp_path, CHECKS + ordinary)
    bad = make_submission(tmp_path, {"program.py": "print('bye')"})

    done = _pytest("--submission", str(bad), exercise.checks_folder, cwd=tmp_path)

    assert "number = 1  # in the source" in done.stdout
    assert "expect_equal" not in done.stdout


def test_checks_in_parallel_are_refused_in_no_way(tmp_path: Path) -> None:
    """A class may run under pytest-xdist, one worker for each file of checks."""
    exercise = make_exercise(tmp_path, CHECKS)
    good = make_submission(tmp_path, {"program.py": "print('hello')"})

    done = _pytest(
        "-n2", "--dist=loadfile", "--submission", str(good), exercise.checks_folder, cwd=tmp_path
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_without_a_submission_it_says_what_is_missing(tmp_path: Path) -> None:
    exercise = make_exercise(tmp_path, CHECKS)

    done = _pytest(exercise.checks_folder, cwd=tmp_path)

    assert done.returncode == 4
    assert "--submission DIR says which programs to check" in done.stdout + done.stderr


def test_a_suite_with_fixtures_of_the_same_names_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(
        "import pytest\n"
        "@pytest.fixture\ndef lab(): return 'mine'\n"
        "@pytest.fixture\ndef seed(): return 7\n"
        "def test_it(lab, seed): assert (lab, seed) == ('mine', 7)\n"
    )

    done = _pytest(cwd=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_marks_are_explained(tmp_path: Path) -> None:
    said = _pytest("--markers", cwd=tmp_path).stdout

    for mark in ("points(number)", "needs(", "visibility(", "seeds(number)", "lab(name"):
        assert f"@pytest.mark.{mark}" in said
