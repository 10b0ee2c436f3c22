"""The links under test: each module has one of each kind, for as long as it uses it."""

import os
from collections.abc import Iterator

import pytest

from tests.equivalence.exchange import LinkUnderTest
from tests.equivalence.model_link import ModelLink
from tests.equivalence.netem_link import netem_link
from tests.equivalence.wire_link import wire_link
from tests.kernel.netem_link import why_no_netem


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("netem") and (reason := why_no_netem()):
        if os.environ.get("LABCTL_REQUIRE_NETEM"):
            pytest.fail(f"LABCTL_REQUIRE_NETEM is set, and {reason}", pytrace=False)
        pytest.skip(f"{reason}: tests/uml runs it in a kernel that has it")


@pytest.fixture(scope="module")
def link(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LinkUnderTest]:
    if request.param == "model":
        yield ModelLink()
    elif request.param == "wire":
        with wire_link(tmp_path_factory.mktemp("wire")) as wire:
            yield wire
    else:
        with netem_link() as netem:
            yield netem
