"""Each rule that a tool guards, broken once on purpose in a copy: the tool has to say so."""

import ast
import shutil
from pathlib import Path

import pytest

from tests.checkers import CHECKOUT, output_of, run_tool


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package and of the configuration of the tools."""
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    shutil.copytree(
        CHECKOUT / "labctl", tmp_path / "labctl", ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path


@pytest.mark.slow
def test_a_step_that_nobody_carries_out_is_a_type_error(copy: Path) -> None:
    apply = copy / "labctl" / "kernel" / "apply.py"
    step = _remove_first_arm(apply)

    done = run_tool("mypy", str(apply), folder=copy)

    assert f'Argument 1 to "assert_never" has incompatible type "{step}"' in output_of(done)


def _remove_first_arm(source: Path) -> str:
    """Remove the first arm of the match that ends in ``assert_never``; return what it matched."""
    text = source.read_text()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Match) and "assert_never" in ast.unparse(node.cases[-1]):
            first, second = node.cases[0], node.cases[1]
            assert isinstance(first.pattern, ast.MatchClass)
            lines = text.splitlines(keepends=True)
            del lines[first.pattern.lineno - 1 : second.pattern.lineno - 1]
            source.write_text("".join(lines))
            return ast.unparse(first.pattern.cls)
    pytest.fail(f"{source.name} has no match that ends in assert_never")


def test_planning_may_not_open_sockets(copy: Path) -> None:
    _append(copy / "labctl" / "plan" / "explain.py", "import socket")

    done = run_tool("importlinter", folder=copy)

    assert done.returncode == 1
    assert "labctl.plan.explain -> socket" in output_of(done)


def test_programs_may_not_import_what_is_above_them(copy: Path) -> None:
    _append(copy / "labctl" / "programs" / "__init__.py", "import labctl.lab")

    done = run_tool("importlinter", folder=copy)

    assert done.returncode == 1
    assert "labctl.programs -> labctl.lab" in output_of(done)


def test_a_new_package_must_be_given_its_place(copy: Path) -> None:
    (copy / "labctl" / "elsewhere.py").write_text('"""In no layer."""\n')

    done = run_tool("importlinter", folder=copy)

    assert done.returncode == 1
    assert "labctl.elsewhere" in output_of(done)


def test_programs_may_not_talk_netlink(copy: Path) -> None:
    found = _lint_with(copy / "labctl" / "programs" / "__init__.py", "import pyroute2", folder=copy)

    assert "Only labctl.kernel talks netlink; call a function there instead." in found


def test_only_the_command_line_prints(copy: Path) -> None:
    found = _lint_with(copy / "labctl" / "plan" / "explain.py", 'print("done")', folder=copy)

    assert "T201" in found


def test_nobody_sleeps(copy: Path) -> None:
    line = "import time; time.sleep(1)"
    found = _lint_with(copy / "labctl" / "observe" / "__init__.py", line, folder=copy)

    assert "Wait for a condition with a deadline: labctl.wait.until()." in found


def _append(source: Path, line: str) -> None:
    with source.open("a") as file:
        file.write(f"\n{line}\n")


def _lint_with(source: Path, line: str, *, folder: Path) -> str:
    """Return what the linter finds in the appended line and not in the file before."""
    before = run_tool("ruff", "check", "--output-format=concise", str(source), folder=folder)
    _append(source, line)
    after = run_tool("ruff", "check", "--output-format=concise", str(source), folder=folder)
    known = output_of(before).splitlines()
    return "\n".join(text for text in output_of(after).splitlines() if text not in known)
