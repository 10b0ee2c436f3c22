import json
import os
import signal
from pathlib import Path

import pytest

from labctl.wait import until
from tests.cli.commands import Labctl
from tests.limits import LIMIT_S
from tests.ordinary_user import OrdinaryUser

pytestmark = pytest.mark.kernel


def test_nothing_of_a_crashed_lab_is_left(labctl: Labctl, pair: str) -> None:
    [lab] = [lab for lab in labctl.json("status")["labs"] if lab["name"] == pair]
    os.kill(lab["pid"], signal.SIGKILL)

    # Another test's gc may be quicker than ours, or have begun before the holder was dead.
    assert until(lambda: labctl("gc").code == 0 and not labctl.is_up(pair), LIMIT_S)
    assert not list(Path("/run/netns").glob(f"{pair}-*"))


@pytest.mark.slow
def test_what_is_removed_is_named(lone_user: OrdinaryUser) -> None:
    lone_user.run("labctl", "up", "pair")
    [lab] = json.loads(lone_user.run("labctl", "status", "--json").stdout)["labs"]
    os.kill(lab["pid"], signal.SIGKILL)

    assert until(lambda: "left by a crash: pair;" in _status(lone_user), LIMIT_S)
    assert lone_user.run("labctl", "gc").stdout == "removed what was left of pair\n"
    assert lone_user.run("labctl", "gc").stdout == "nothing to remove\n"


def _status(user: OrdinaryUser) -> str:
    return user.run("labctl", "status").stdout


def test_a_lab_that_lives_is_left_alone(labctl: Labctl, pair: str) -> None:
    assert pair not in labctl("gc").out
    assert labctl("exec", "-l", pair, "client", "true").code == 0
