"""udp_traceroute and icmp_ping beside the programs that everybody has."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.grading.lab import Lab, as_checked, checked_lab
from labctl.topology.load import load_topology_uncached
from tests.exercises.running import EXERCISES, reference

pytestmark = pytest.mark.kernel

SERVER = {"IPv4": "10.0.3.2", "IPv6": "fd00:0:0:3::2"}


@pytest.fixture(scope="module")
def chain() -> Iterator[Lab]:
    file = Path(EXERCISES).parent / "labs" / "dual_chain.yaml"
    topology = load_topology_uncached(str(file), {})
    with checked_lab(as_checked(topology), is_rootless=True, seed=1) as lab:
        yield lab


def carry_out(lab: Lab, *command: str) -> str:
    ended = lab["client"].run(*command)
    assert ended.exit_status == 0, ended.stderr
    return ended.stdout.decode()


@pytest.mark.parametrize("family", SERVER)
def test_it_finds_the_way_that_traceroute_finds(chain: Lab, family: str) -> None:
    path = reference("traceroute/udp_traceroute")
    ours = carry_out(chain, sys.executable, path, "-W", "5000", SERVER[family])
    theirs = carry_out(chain, "traceroute", "-n", "-q", "1", "-w", "5", SERVER[family])
    hops = re.findall(r"^ *(\d+) +([0-9a-f.:]+)", theirs, re.MULTILINE)
    assert len(hops) == 4
    assert re.findall(r"^(\d+) ([0-9a-f.:]+)=", ours, re.MULTILINE) == hops


@pytest.mark.parametrize("family", SERVER)
def test_icmp_ping_sees_the_ttl_that_ping_sees(chain: Lab, family: str) -> None:
    path = reference("ping/icmp_ping")
    ours = carry_out(chain, sys.executable, path, "-c", "1", "-W", "5000", SERVER[family])
    theirs = carry_out(chain, "ping", "-n", "-c", "1", "-W", "5", SERVER[family])
    [ttl] = re.findall(r"ttl=(\d+)", theirs)
    assert ours.startswith(f"reply seq=0 from={SERVER[family]} ttl={ttl} rtt_us=")
