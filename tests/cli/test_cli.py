import json
import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from labctl.cli import VERBS
from tests.cli.commands import Labctl
from tests.limits import LIMIT_S


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_its_module(verb: str) -> None:
    assert find_spec(f"labctl.cli.{verb}") or find_spec(f"labctl.cli.{verb}_")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(labctl: Labctl, verb: str) -> None:
    done = labctl(verb, "--help")

    assert done.code == 0
    assert done.out.startswith(f"usage: labctl {verb} ")
    assert done.err == ""


def test_without_a_verb_the_help_is_an_error(labctl: Labctl) -> None:
    done = labctl()

    assert done.code == 2
    assert done.out == ""
    assert all(f"    {verb}" in done.err for verb in VERBS)


def test_the_help_states_the_exit_codes(labctl: Labctl) -> None:
    done = labctl("--help")

    assert done.code == 0
    assert "Exit codes: 0 done, 1 the checked thing failed" in done.out


def test_the_version_is_printed(labctl: Labctl) -> None:
    done = labctl("--version")

    assert done.code == 0
    assert done.out.startswith("labctl")


def test_every_problem_of_a_file_is_an_error_of_its_own(labctl: Labctl) -> None:
    lab = labctl.write("two.yaml", "name: two\nnodes: {a: {}, b: {knd: host}}\nlinks: [[a, c]]\n")
    done = labctl("explain", lab)

    assert done.code == 2
    assert done.err.count("error: ./two.yaml:") == 2
    assert done.out == ""


def test_a_fault_of_labctls_shows_no_traceback(labctl: Labctl, tmp_path: Path) -> None:
    broken = _break_yaml(labctl, tmp_path)
    done = labctl("explain", "pair", environment=broken)

    assert done.code == 3
    assert "error: labctl itself failed: RuntimeError: this library is broken" in done.err
    assert "LABCTL_DEBUG=1" in done.err
    assert "Traceback" not in done.err


def test_the_traceback_is_there_for_who_asks(labctl: Labctl, tmp_path: Path) -> None:
    broken = _break_yaml(labctl, tmp_path)
    done = labctl("explain", "pair", environment={**broken, "LABCTL_DEBUG": "1"})

    assert "Traceback" in done.err


def _break_yaml(labctl: Labctl, folder: Path) -> dict[str, str]:
    """Return an environment in which PyYAML cannot be imported."""
    (folder / "yaml.py").write_text("raise RuntimeError('this library is broken')\n")
    return {"PYTHONPATH": f"{folder}{os.pathsep}{labctl.environment['PYTHONPATH']}"}


def test_output_that_cannot_be_written_is_the_machines_fault(labctl: Labctl) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*labctl.command, "schema"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=labctl.environment,
        )

    assert done.returncode == 3
    assert done.stderr.startswith("error: no space left on device\n  hint: ")
    assert done.stderr.count("error:") == 1


@pytest.mark.parametrize("verb", ["status", "schema"])
def test_a_reader_that_has_gone_is_no_error(labctl: Labctl, verb: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*labctl.command, verb],
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
            env=labctl.environment,
        )
    finally:
        os.close(writing)

    assert done.returncode == 141
    assert done.stderr == b""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_a_closed_stream_is_no_error(labctl: Labctl, closed: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *labctl.command, "status"],
        capture_output=True,
        check=False,
        timeout=LIMIT_S,
        env=labctl.environment,
    )

    assert done.returncode == 0
    assert done.stderr == b""
    assert bool(done.stdout) == (closed != ">&-")


def test_letters_that_the_terminal_lacks_are_replaced(labctl: Labctl) -> None:
    done = labctl("exec", "--help", environment={"PYTHONIOENCODING": "ascii"})

    assert done.code == 0
    assert "CMD?" in done.out


@pytest.mark.parametrize("verb", ["up", "down", "exec", "status", "gc"])
def test_inside_a_lab_labctl_says_where_it_is(labctl: Labctl, verb: str) -> None:
    done = labctl(verb, "pair", "true", environment={"LABCTL_LAB": "two_clients"})

    assert done.code == 2
    assert done.err.startswith('error: this is a shell inside the lab "two_clients"')
    assert "hint: leave it first (Ctrl-D)" in done.err


def test_inside_a_lab_what_needs_no_lab_still_works(labctl: Labctl) -> None:
    inside = {"LABCTL_LAB": "two_clients"}

    assert json.loads(labctl("schema", environment=inside).out)
    assert labctl("explain", "pair", environment=inside).code == 0
    assert labctl("up", "--help", environment=inside).code == 0
