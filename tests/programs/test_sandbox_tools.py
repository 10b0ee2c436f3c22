import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.programs import sandbox_tools
from labctl.programs.sandbox_tools import find_tools, why_no_sandbox


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    for known in (find_tools, why_no_sandbox):
        known.cache_clear()
    yield
    for known in (find_tools, why_no_sandbox):
        known.cache_clear()


@pytest.mark.kernel
def test_a_machine_with_everything_can_make_sandboxes() -> None:
    assert why_no_sandbox() is None


def test_the_tools_are_programs() -> None:
    tools = find_tools()

    assert [Path(path).name for path in tools[:3]] == ["bwrap", "setpriv", "prlimit"]
    assert all(os.access(path, os.X_OK) for path in tools[:3])


def test_a_missing_tool_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_tools, "_PACKAGES", {"no-such-bwrap": "bubblewrap"})

    assert why_no_sandbox() == (
        "no-such-bwrap is not installed, and sandboxed programs need it: "
        "sudo apt-get install bubblewrap"
    )


def test_a_tool_that_cannot_do_its_work_is_told_with_its_own_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # ls takes none of bwrap's options.
    monkeypatch.setattr(
        sandbox_tools,
        "_PACKAGES",
        {"ls": "coreutils", "setpriv": "util-linux", "prlimit": "util-linux"},
    )
    reason = why_no_sandbox()

    assert reason is not None
    assert reason.startswith("bwrap cannot make its namespaces here (")
    assert "option" in reason
    assert reason.endswith("`labctl doctor` looks for what forbids it")
