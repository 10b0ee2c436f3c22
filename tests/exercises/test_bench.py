"""bench on a slow link, beside iperf3."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.grading.lab import Lab, as_checked, checked_lab
from labctl.topology.load import load_topology_uncached
from labctl.wait import until
from tests.exercises.running import EXERCISES, reference
from tests.limits import LIMIT_S

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

SERVER = "10.0.0.2"
BYTES = 1_000_000

LINK_BPS = 10_000_000
"""Of labs/slow_pair.yaml."""


@pytest.fixture(scope="module")
def slow_pair() -> Iterator[Lab]:
    file = Path(EXERCISES).parent / "labs" / "slow_pair.yaml"
    topology = load_topology_uncached(str(file), {})
    with checked_lab(as_checked(topology), is_rootless=True, seed=1) as lab:
        yield lab


def listens(lab: Lab, port: int) -> bool:
    return any(entry.state == "LISTEN" for entry in lab["server"].sockets("tcp", port))


def measure(lab: Lab, port: int, *command: str) -> dict[str, object]:
    """Run a client once its server is there; return the JSON that it prints."""
    assert until(lambda: listens(lab, port), LIMIT_S)
    ended = lab["client"].run(*command, within_s=3 * LIMIT_S)
    assert ended.exit_status == 0, ended.stderr
    said = json.loads(ended.stdout)
    assert isinstance(said, dict)
    return said


def test_it_measures_what_iperf3_measures(slow_pair: Lab) -> None:
    slow_pair["server"].start(sys.executable, reference("bench/bench_server"))
    client = (sys.executable, reference("bench/bench_client"), SERVER, "8095", "-n", str(BYTES))
    ours = measure(slow_pair, 8095, *client)
    assert ours["received"] == BYTES

    slow_pair["server"].start("iperf3", "-s", "-1")
    theirs = measure(slow_pair, 5201, "iperf3", "-c", SERVER, "-t", "1", "-w", "32K", "-J")
    end = theirs["end"]
    assert isinstance(end, dict)

    # iperf3 stops its clock while bytes still wait in the link's queue: so a small window, of which
    # nothing waits.
    received_bps = end["sum_received"]["bits_per_second"]
    assert isinstance(ours["bps"], int)
    assert abs(ours["bps"] - received_bps) < 0.2 * LINK_BPS
