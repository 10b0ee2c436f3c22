"""The rules of the repository, as far as tools and names can check them."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checkers import CHECKOUT, output_of, run_tool

WITHOUT_TEST: dict[str, str] = {
    "labctl/kernel/wire.py": "two named tuples",
    "labctl/topology/impairment.py": "named tuples",
    "labctl/topology/impairment_reader.py": "test_impairment_words.py says all its words",
    "labctl/topology/impairment_units.py": "test_impairment_words.py says all its units",
    "labctl/wire/slots.py": "test_channel.py sends packets through them",
    "labctl/wire/variation.py": "test_channel.py compares what it varies with the distributions",
    "labctl/topology/model.py": "named tuples; test_resolve.py asks each of their methods",
}
"""Modules that have no test file of their own, each with the reason. It may only shrink."""


def test_the_code_is_formatted() -> None:
    _expect_clean(run_tool("ruff", "format", "--check", folder=CHECKOUT))


def test_the_linter_finds_nothing() -> None:
    _expect_clean(run_tool("ruff", "check", folder=CHECKOUT))


@pytest.mark.slow
def test_the_types_are_right() -> None:
    _expect_clean(run_tool("mypy", folder=CHECKOUT))


def test_imports_point_down() -> None:
    _expect_clean(run_tool("importlinter", folder=CHECKOUT))


def _expect_clean(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode != 0:
        pytest.fail(output_of(done), pytrace=False)


def test_every_module_has_a_test_file_of_its_name() -> None:
    missing = [
        f"{module}: write {_test_file(module).relative_to(CHECKOUT)}"
        for module in _modules()
        if not _test_file(module).exists() and module not in WITHOUT_TEST
    ]
    assert missing == []


def test_the_list_of_modules_without_test_is_still_true() -> None:
    modules = set(_modules())
    outdated = [
        module for module in WITHOUT_TEST if module not in modules or _test_file(module).exists()
    ]
    assert outdated == []


def _modules() -> Iterator[str]:
    for path in sorted((CHECKOUT / "labctl").rglob("*.py")):
        # A package's own file holds its sentence and nothing else, except where it has code.
        if path.name not in {"__init__.py", "__main__.py"} or _has_code(path):
            yield str(path.relative_to(CHECKOUT))


def _has_code(path: Path) -> bool:
    return any(
        isinstance(node, ast.FunctionDef | ast.ClassDef)
        for node in ast.parse(path.read_text()).body
    )


def _test_file(module: str) -> Path:
    inside = Path(module).relative_to("labctl")
    name = inside.parent.name if inside.name == "__init__.py" else inside.stem
    return CHECKOUT / "tests" / inside.parent / f"test_{name}.py"


def test_only_wait_sleeps() -> None:
    # The linter cannot say this of labctl/kernel, which is exempt from all banned names at once.
    sleepers = [
        f"{path.relative_to(CHECKOUT)}:{node.lineno}"
        for path in sorted((CHECKOUT / "labctl").rglob("*.py"))
        if path.relative_to(CHECKOUT) != Path("labctl/wait.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr == "sleep")
        or (isinstance(node, ast.ImportFrom) and "sleep" in {name.name for name in node.names})
    ]
    assert sleepers == []


def test_no_source_file_is_longer_than_400_lines() -> None:
    long = [
        f"{path.relative_to(CHECKOUT)}: {lines} lines"
        for path in sorted((CHECKOUT / "labctl").rglob("*.py"))
        if (lines := len(path.read_text().splitlines())) > 400
    ]
    assert long == []
