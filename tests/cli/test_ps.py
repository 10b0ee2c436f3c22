import pytest

from labctl.wait import until
from tests.cli.commands import Labctl
from tests.limits import LIMIT_S

pytestmark = pytest.mark.kernel


def test_a_lab_without_programs_says_how_to_start_one(labctl: Labctl, pair: str) -> None:
    done = labctl("ps", pair)

    assert done.out == f"{pair} runs no programs; `labctl run -d NODE PROGRAM` starts one\n"


def test_each_program_has_its_state(labctl: Labctl, pair: str) -> None:
    ready = ("--ready", "log ready")
    for name, script in (
        ("stays", "echo ready; exec tail -f /dev/null"),
        ("leaves", "echo ready; exit 3"),
        ("killed", "echo ready; exec tail -f /dev/null"),
    ):
        words = ("--name", name, "server", "sh", "-c", script)
        assert labctl("run", "-l", pair, "-d", *ready, *words).code == 0
    assert labctl("stop", "-l", pair, "killed").code == 0
    assert until(lambda: labctl.json("ps", pair)["programs"][1]["state"] == "ended", LIMIT_S)

    heading, *rows = labctl("ps", "-l", pair).out.splitlines()
    assert heading.split("  ")[0] == "NAME"
    assert [row.split()[:2] for row in rows] == [
        [n, "server"] for n in ("stays", "leaves", "killed")
    ]
    assert " running " in rows[0]
    assert " ended with exit status 3 " in rows[1]
    assert " ended by SIGTERM " in rows[2]

    stays, leaves, killed = labctl.json("ps", pair)["programs"]
    assert (stays["state"], stays["exit_status"], stays["ended"]) == ("running", None, None)
    assert (leaves["state"], leaves["exit_status"]) == ("ended", 3)
    assert killed["exit_status"] == -15
    assert killed["argv"] == ["sh", "-c", "echo ready; exec tail -f /dev/null"]
