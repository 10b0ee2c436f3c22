"""The sender of the wire's rows sends what it says, and counts what comes."""

from pathlib import Path

import pytest

from benchmarks.contenders import Unavailable, compiled, value_after
from tests.benchmarks.test_networks import in_scratch

pytestmark = pytest.mark.kernel

TWO_NODES = """
    set -e
    ip netns add a && ip netns add b
    ip -n a link add eth0 type veth peer name eth0 netns b
    for netns in a b; do ip -n $netns link set eth0 up; done
    ip -n a address add 10.0.0.1/24 dev eth0
    ip -n b address add 10.0.0.2/24 dev eth0
"""


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return compiled(tmp_path_factory.mktemp("traffic"), "traffic")
    except Unavailable as reason:
        pytest.skip(str(reason))


def test_every_datagram_is_counted(traffic: Path) -> None:
    done = in_scratch(f"{TWO_NODES}\n{traffic} udp /run/netns/a /run/netns/b 10.0.0.2 200 20000")

    assert done.stdout.strip() == "received=200", done.stderr


def test_a_transfer_takes_as_long_as_a_slow_link_does(traffic: Path) -> None:
    # 8 MB at 400 Mbit/s, less what the filter lets pass at once.
    slow = "ip netns exec a tc qdisc add dev eth0 root tbf rate 400mbit burst 256k limit 1m"
    done = in_scratch(f"{TWO_NODES}\n{slow}\n{traffic} tcp /run/netns/a /run/netns/b 10.0.0.2 8")

    assert value_after("transfer_ms", done.stdout) > 160, done.stderr


def test_a_namespace_that_does_not_exist_is_named(traffic: Path) -> None:
    done = in_scratch(f"{traffic} tcp /run/netns/nowhere /run/netns/nowhere 10.0.0.2 1")

    assert done.returncode == 1
    assert "/run/netns/nowhere" in done.stderr
