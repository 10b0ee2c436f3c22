"""bench on a slow link, beside what was seen on the wire."""

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

BUFFER_BYTES = 16384


@pytest.fixture
def slow_pair() -> Iterator[Lab]:
    file = Path(EXERCISES).parent / "labs" / "slow_pair.yaml"
    topology = load_topology_uncached(str(file), {})
    with checked_lab(as_checked(topology), is_rootless=True, seed=1) as lab:
        yield lab


def listens(lab: Lab, port: int) -> bool:
    return any(entry.state == "LISTEN" for entry in lab["server"].sockets("tcp", port))


def test_it_measures_what_was_on_the_wire(slow_pair: Lab) -> None:
    # Where the server stands still hardly anything comes meanwhile: all else has to pass the link
    # between its first look at the clock and its last.
    slow_pair["server"].set("net.ipv4.tcp_rmem", f"4096 {BUFFER_BYTES} {BUFFER_BYTES}")
    slow_pair["server"].start(sys.executable, reference("bench/bench_server"))
    assert until(lambda: listens(slow_pair, 8095), LIMIT_S)
    client = (sys.executable, reference("bench/bench_client"), SERVER, "8095", "-n", str(BYTES))

    ended = slow_pair["client"].run(*client, within_s=3 * LIMIT_S)

    assert ended.exit_status == 0, ended.stderr
    said = json.loads(ended.stdout)
    assert said["received"] == BYTES
    first = slow_pair.packets("tcp dst port 8095 and greater 1000", received_by="server")[0]
    answer = slow_pair.packets(
        "tcp src port 8095 and tcp[tcpflags] & tcp-push != 0", sent_by="server"
    )[0]
    assert said["ns"] <= answer.time_ns - first.time_ns
    assert 8 * BYTES * 10**9 // said["ns"] == said["bps"] <= LINK_BPS
