import sys

import pytest

from tests.cli.commands import Labctl

pytestmark = pytest.mark.kernel


def _start(labctl: Labctl, lab: str, name: str, script: str, *, shell: str = "sh") -> None:
    words = ("--ready", "log ready", "--name", name, "client", shell, "-c", script)
    assert labctl("run", "-l", lab, "-d", *words).code == 0


STAYS = "echo ready; exec tail -f /dev/null"

# Not a shell with a trap: a child that it is about to start may miss the signal, and never ends.
ENDS_IN_ITS_OWN_WAY = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
print("ready", flush=True)
signal.sigwait({signal.SIGTERM})
sys.exit(6)
"""


def test_a_program_is_asked_to_end(labctl: Labctl, pair: str) -> None:
    _start(labctl, pair, "stays", STAYS)

    assert labctl("stop", "-l", pair, "stays") == (0, "stays was ended by SIGTERM\n", "")


def test_a_program_may_end_in_its_own_way(labctl: Labctl, rootless_pair: str) -> None:
    _start(labctl, rootless_pair, "polite", ENDS_IN_ITS_OWN_WAY, shell=sys.executable)

    assert labctl("stop", "-l", rootless_pair).out == "polite ended with exit status 6\n"


@pytest.mark.slow
def test_a_program_that_will_not_end_is_killed(labctl: Labctl, rootless_pair: str) -> None:
    _start(labctl, rootless_pair, "deaf", f"trap '' TERM; {STAYS}")

    assert labctl("stop", "-l", rootless_pair, "deaf").out == "deaf was ended by SIGKILL\n"


def test_a_program_that_has_ended_stays_as_it_is(labctl: Labctl, rootless_pair: str) -> None:
    _start(labctl, rootless_pair, "stays", STAYS)
    first = labctl("stop", "-l", rootless_pair, "stays")

    assert labctl("stop", "-l", rootless_pair, "stays") == first


def test_where_nothing_runs_nothing_can_be_stopped(labctl: Labctl, rootless_pair: str) -> None:
    done = labctl("stop", "-l", rootless_pair)

    assert done.code == 2
    assert "error: there is no program" in done.err


def test_a_program_that_does_not_exist(labctl: Labctl, rootless_pair: str) -> None:
    done = labctl("stop", "-l", rootless_pair, "nobody")

    assert done.code == 2
    assert 'error: the lab has no program "nobody"' in done.err
