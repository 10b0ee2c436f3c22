"""What tests/conftest.py promises, seen from outside: pytest runs on a small suite of its own."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkers import CHECKOUT
from tests.ordinary_user import OrdinaryUser


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A folder with this project's configuration and conftest.py, and no tests yet."""
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    (tmp_path / "tests" / "uml").mkdir(parents=True)
    for name in ("conftest.py", "leftovers.py", "ordinary_user.py", "uml/guest.py"):
        shutil.copy(CHECKOUT / "tests" / name, tmp_path / "tests" / name)
    # What does stay is not waited for.
    (tmp_path / "tests" / "limits.py").write_text("LIMIT_S = 0.1\n")
    return tmp_path


def _run(suite: Path, source: str, *options: str, **environment: str) -> tuple[int, str]:
    return _run_by((), suite, source, *options, **environment)


def _run_by(
    starter: tuple[str, ...], suite: Path, source: str, *options: str, **environment: str
) -> tuple[int, str]:
    (suite / "tests" / "test_it.py").write_text(f"import os, pytest\n{source}")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    done = subprocess.run(
        [*starter, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options],
        cwd=suite,
        capture_output=True,
        text=True,
        check=False,
        env=inherited | {"CI": "", "LABCTL_REQUIRE_KERNEL": ""} | environment,
    )
    return done.returncode, done.stdout


def test_what_a_test_starts_can_be_interrupted_also_in_the_background(suite: Path) -> None:
    mask = "grep SigIgn /proc/self/status"
    source = f"""
import subprocess
def test_it() -> None:
    said = subprocess.run("{mask}".split(), capture_output=True, check=True).stdout
    assert int(said.split()[1], 16) & 0b111 == 0
"""
    _, output = _run_by(("env", "--ignore-signal=HUP,INT,QUIT"), suite, source)

    # Not the status: the labs of tests beside this one come and go meanwhile.
    assert "1 passed" in output, output


def test_a_long_value_gives_a_test_a_short_name(suite: Path) -> None:
    source = """
@pytest.mark.parametrize("value", ["[" * 10**6, bytes(100), "short", 5])
def test_it(value: object) -> None:
    pass
"""
    _, output = _run(suite, source, "--collect-only", "-q")

    names = [line.partition("::")[2] for line in output.splitlines() if "::" in line]
    assert names == [
        f"test_it[{'[' * 20}... (1000000)]",
        f"test_it[{'00' * 20}... (100)]",
        "test_it[short]",
        "test_it[5]",
    ]


SKIPPED_KERNEL_TEST = """
@pytest.mark.kernel
def test_it() -> None:
    pytest.skip("no such device")
"""


def test_a_kernel_test_may_skip_on_a_casual_machine(suite: Path) -> None:
    _, output = _run(suite, SKIPPED_KERNEL_TEST)

    assert "1 skipped" in output


@pytest.mark.parametrize("switch", ["CI", "LABCTL_REQUIRE_KERNEL"])
def test_a_skipped_kernel_test_is_a_failure_on_demand(suite: Path, switch: str) -> None:
    status, output = _run(suite, SKIPPED_KERNEL_TEST, **{switch: "1"})

    assert status == 1
    assert "1 failed" in output
    assert "no such device" in output


def test_a_skipped_module_is_a_failure_on_demand(suite: Path) -> None:
    status, output = _run(suite, 'pytest.skip("not today", allow_module_level=True)', CI="1")

    assert status != 0
    assert "not today" in output


def test_a_test_without_kernel_may_skip_even_then(suite: Path) -> None:
    _, output = _run(suite, 'def test_it() -> None:\n    pytest.skip("no dot")', CI="1")

    assert "1 skipped" in output


PROCESS_LEFT = """
def test_it() -> None:
    pid = os.posix_spawn("/usr/bin/tail", ["tail", "-f", "/dev/null"], os.environ)
    with open("pid", "w") as file:
        file.write(str(pid))
"""


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["one process", "two workers"])
def test_a_process_that_stays_fails_the_run_and_is_named(suite: Path, options: list[str]) -> None:
    status, output = _run(suite, PROCESS_LEFT, *options)
    pid = int((suite / "pid").read_text())
    os.kill(pid, signal.SIGKILL)

    assert "1 passed" in output
    assert status == 1
    assert f"process {pid}: tail -f /dev/null" in output


def test_a_folder_of_a_lab_that_stays_fails_the_run_and_is_named(
    suite: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "runtime" / "labctl" / "crashed"
    source = f"def test_it() -> None:\n    os.makedirs({str(folder)!r})"
    status, output = _run(suite, source, XDG_RUNTIME_DIR=str(tmp_path / "runtime"))

    assert "1 passed" in output
    assert status == 1
    assert f"folder {folder}" in output


@pytest.mark.slow
def test_the_ordinary_user_has_no_privileges_and_labctl(ordinary_user: OrdinaryUser) -> None:
    script = "id -u; grep CapEff /proc/self/status; pwd; command -v labctl"
    uid, capabilities, folder, program = ordinary_user.run("sh", "-c", script).stdout.splitlines()

    assert int(uid) != 0
    assert capabilities.split() == ["CapEff:", "0" * 16]
    assert Path(folder) == ordinary_user.home
    assert Path(program).parts[-3:] == ("venv", "bin", "labctl")
