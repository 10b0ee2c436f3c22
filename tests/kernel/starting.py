"""Programs that a test starts in a node, as the holder starts them."""

import os

from labctl.kernel.control import Control, ProgramStatus
from labctl.kernel.state import LabState
from labctl.programs.logs import read_log
from tests.limits import LIMIT_S

PATH = {"PATH": os.defpath}


def start(lab: LabState, name: str, *argv: str, cwd: str = "/") -> ProgramStatus:
    netns = lab.netns("client1")
    assert netns is not None
    return Control(lab).start(name, "client1", netns, argv, environment=PATH, cwd=cwd)


def run(lab: LabState, *argv: str, cwd: str = "/") -> str:
    """Run a program of its own name to its end; return its output."""
    start(lab, "once", *argv, cwd=cwd)
    assert Control(lab).wait("once", LIMIT_S) is not None
    return read_log(lab, "once").decode()
