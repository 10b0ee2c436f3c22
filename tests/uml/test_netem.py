"""Every test that is marked ``netem``, in a kernel that has it, in one boot."""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.uml import guest

CHECKOUT = Path(__file__).parents[2]
TIMEOUT_S = 900


def files_with_netem_tests() -> list[str]:
    """Return them by name: to import every test of the project takes long in the guest."""
    return [
        str(path.relative_to(CHECKOUT))
        for path in sorted((CHECKOUT / "tests").rglob("test_*.py"))
        if path != Path(__file__) and "mark.netem" in path.read_text()
    ]


@pytest.mark.uml
@pytest.mark.slow
@pytest.mark.long
def test_the_tests_of_netem_pass_in_a_kernel_that_has_it(tmp_path: Path) -> None:
    report = "report.xml"
    command = [sys.executable, "-m", "pytest", "-m", "netem", "-p", "no:cacheprovider", "-p"]
    command += [
        "no:xdist",
        f"--junitxml={guest.SHARED}/results/{report}",
        *files_with_netem_tests(),
    ]
    try:
        done = guest.run(
            command,
            cwd=CHECKOUT,
            timeout_s=TIMEOUT_S,
            environment={"LABCTL_REQUIRE_NETEM": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            results=tmp_path,
        )
    except guest.GuestError as error:
        pytest.fail(str(error), pytrace=False)
    if done.exit_code != 0:
        pytest.fail(done.output, pytrace=False)
    suite = ET.parse(tmp_path / report).getroot()[0]
    assert int(suite.attrib["tests"]) > 0
    assert int(suite.attrib["skipped"]) == 0, done.output
