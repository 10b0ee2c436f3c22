"""Runs the tools that check the source, for the tests that want their verdict."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent

_COMMANDS = {
    "ruff": [sys.executable, "-m", "ruff"],
    "mypy": [sys.executable, "-m", "mypy"],
    "importlinter": [str(Path(sys.executable).with_name("lint-imports"))],
    "hatchling": [sys.executable, "-m", "hatchling"],
}
"""Command by the name of the package that holds the tool."""


def run_tool(package: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a tool in a folder. Without the tool the test is skipped, or fails where CI is set."""
    if importlib.util.find_spec(package) is None:
        reason = f"{package} is not installed: pip install --editable '.[dev]'"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return subprocess.run(
        [*_COMMANDS[package], *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NO_COLOR": "1"},
    )


def output_of(done: subprocess.CompletedProcess[str]) -> str:
    """Return all that a tool printed, on a line of its own."""
    return f"\n{done.stdout}{done.stderr}"
