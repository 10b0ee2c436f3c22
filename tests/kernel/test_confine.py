import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from labctl.kernel.confine import SETUP_FAILED, Recipe
from labctl.programs.sandbox import Limits, Sandbox, sandboxed
from tests.checkers import CHECKOUT

pytestmark = pytest.mark.kernel

USUAL = Limits(cpu_s=5)

# As a lab's holder does for a program in a node.
AS_IN_A_NODE = ("unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork")

CONFINE = """
import json, sys
from labctl.kernel.confine import confine
confine(json.loads(sys.argv[1]), sys.argv[2:])
"""

SHOW_LIMITS = """
import json, os, resource
names = ("AS", "CORE", "CPU", "FSIZE", "MEMLOCK", "MSGQUEUE", "NOFILE", "NPROC")
print(json.dumps({name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in names}))
"""


def _run(submission: Path, *words: str, limits: Limits = USUAL) -> subprocess.CompletedProcess[str]:
    sandbox = Sandbox(str(submission), is_rootless=True, uid=0, limits=limits)
    return _confined(*sandboxed(words, sandbox))


def _confined(
    command: Sequence[str], recipe: Recipe, through: Sequence[str] = (*AS_IN_A_NODE, "--mount-proc")
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*through, sys.executable, "-c", CONFINE, json.dumps(recipe), *command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "SECRET": "x"},
        timeout=60,
    )


def test_the_command_runs_in_its_own_folder(tmp_path: Path) -> None:
    done = _run(tmp_path, "pwd")

    assert (done.returncode, done.stdout) == (0, "/work\n"), done.stderr


def test_the_limits_are_those_that_were_asked_for(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(SHOW_LIMITS)
    limits = Limits(cpu_s=7, address_space_bytes=1 << 30, processes=9, open_files=33)
    found = json.loads(_run(tmp_path, "python3", "/submission/main.py", limits=limits).stdout)

    assert found["CPU"] == [7, 8]
    assert found["AS"] == [1 << 30, 1 << 30]
    assert found["NPROC"] == [9, 9]
    assert found["NOFILE"] == [33, 33]
    assert found["FSIZE"] == [32 << 20, 32 << 20]
    assert (found["CORE"], found["MSGQUEUE"]) == ([1, 1], [0, 0])


def test_a_limit_that_is_lower_already_stays(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(SHOW_LIMITS)
    sandbox = Sandbox(str(tmp_path), is_rootless=True, uid=0)
    lower = ("prlimit", "--nofile=100:200", "--", *AS_IN_A_NODE, "--mount-proc")
    done = _confined(*sandboxed(("python3", "/submission/main.py"), sandbox), lower)

    assert json.loads(done.stdout)["NOFILE"] == [200, 200]


def test_the_environment_is_clean(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import os; print(sorted(os.environ))")
    done = _run(tmp_path, "python3", "/submission/main.py")

    assert "SECRET" not in done.stdout
    assert "'PATH'" in done.stdout


def test_a_sandbox_that_cannot_be_made_is_told_from_a_program_that_fails(tmp_path: Path) -> None:
    command, recipe = sandboxed(("true",), Sandbox(str(tmp_path), is_rootless=True, uid=0))
    done = _confined(command, {**recipe, "bwrap": "/no/such/bwrap"})

    assert done.returncode == SETUP_FAILED
    assert done.stderr.startswith("labctl: the sandbox cannot be made: ")
    assert "Traceback" not in done.stderr


def test_without_the_power_to_mount_it_says_so(tmp_path: Path) -> None:
    sandbox = Sandbox(str(tmp_path), is_rootless=True, uid=0)
    powerless = ("unshare", "--user", "--map-root-user", "setpriv", "--bounding-set=-all", "--")
    done = _confined(*sandboxed(("true",), sandbox), powerless)

    assert done.returncode == SETUP_FAILED
    assert "mount on /sys" in done.stderr
    assert "Traceback" not in done.stderr
