"""Tests of netem run where the kernel has it: on such a machine, and in the guest of tests/uml."""

import os

import pytest

from tests.kernel.netem_link import why_no_netem


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "netem: needs a kernel with sch_netem; skipped elsewhere")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("netem") and (reason := why_no_netem()):
        if os.environ.get("LABCTL_REQUIRE_NETEM"):
            pytest.fail(f"LABCTL_REQUIRE_NETEM is set, and {reason}", pytrace=False)
        pytest.skip(f"{reason}: tests/uml runs it in a kernel that has it")
