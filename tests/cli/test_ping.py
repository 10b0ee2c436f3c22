"""labctl ping."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

pytestmark = pytest.mark.kernel


def labctl(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "labctl", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def lab(worker_id: str) -> Iterator[str]:
    name = f"ping-{worker_id}"
    assert labctl("up", "dual_stack", "--rootless", "--name", name).returncode == 0
    try:
        yield name
    finally:
        labctl("down", name)


def test_everybody_answers_over_ipv4_and_ipv6_from_the_first_moment(lab: str) -> None:
    done = labctl("ping", lab)
    assert done.returncode == 0, done.stdout
    assert "12 of 12 pings were answered" in done.stdout
    assert "IPv6 from" in done.stdout


def test_a_link_that_is_down_fails_and_says_which_pairs(lab: str) -> None:
    labctl("exec", "-l", lab, "client1", "--", "ip", "link", "set", "veth_c1", "down")
    done = labctl("ping", lab, "-W", "0.5", "--json")
    assert done.returncode == 1
    shown = json.loads(done.stdout)
    assert shown["format"] == 1
    failed = {(p["source"], p["target"]) for p in shown["pings"] if p["rtt_ms"] is None}
    others = ("server", "client2")
    assert failed == {pair for o in others for pair in ((o, "client1"), ("client1", o))}
    assert all(ping["error"] for ping in shown["pings"] if ping["rtt_ms"] is None)


def test_an_icmp_error_is_told(lab: str) -> None:
    words = ["ip", "route", "del", "default"]
    labctl("exec", "-l", lab, "client1", "--", *words)
    done = labctl("ping", lab, "-W", "0.5")
    assert done.returncode == 1
    assert "client1 → client2 (10.0.2.2): no route" in done.stdout
