"""Tests that boot a kernel run where Debian's user-mode-linux is installed, and always in CI."""

import os

import pytest

from tests.uml import guest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "uml: boots User-Mode Linux; skipped where it is missing")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("uml") and (reason := guest.why_none()):
        if os.environ.get("CI"):
            pytest.fail(f"CI is set, and {reason}", pytrace=False)
        pytest.skip(reason)
