"""The tutorial's "Packet loss" and "Reorderings", with `labctl impair` in the place of `tc`.

The seeds make what happens the same each time; without them the words are the tutorial's.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from labctl.wait import until
from tests.limits import LIMIT_S
from tests.owners import OWNERS, Owner, owner_of_kind

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

LOSS = "loss 40% seed 2"
REORDERING = "delay 500ms 400ms distribution normal reorder 50% seed 1"


@pytest.fixture(params=OWNERS)
def owner(request: pytest.FixtureRequest) -> Owner:
    return owner_of_kind(request.param, request)


@contextmanager
def time_lab(owner: Owner) -> Iterator[str]:
    """Have the lab up with the time server running; gives the lab's name."""
    with owner.lab() as name:
        server = ("server", "time_server", "0.0.0.0", "8080")
        done = owner.labctl("run", "-l", name, "-d", "--ready", "listening udp/8080", *server)
        assert done.returncode == 0, done.stderr
        yield name


def impair(owner: Owner, name: str, *words: str) -> None:
    done = owner.labctl("impair", "-l", name, "client2", *words)
    assert done.returncode == 0, done.stderr


def tries(owner: Owner, name: str, client: str, server: str) -> int:
    """Ask for the time; return how many tries it took until there was an answer."""
    done = owner.labctl("run", "-l", name, client, "time_client", server, "8080")
    assert done.returncode == 0, done.stderr
    return int(re.findall(r"tries=(\d+)", done.stdout)[0])


def lost(owner: Owner, name: str) -> dict[str, int]:
    """Return how many packets each bad direction has lost, by the node that sent them."""
    done = owner.labctl("impair", "-l", name, "--show", "--json")
    return {
        each["direction"].partition(":")[0]: each["counters"]["lost"]
        for each in json.loads(done.stdout)["impairments"]
    }


def burst(owner: Owner, name: str) -> list[int]:
    """Send ten requests at once; return the numbers of the answers in the order they came in."""
    # Listens for longer than the answers take, and is stopped when all are there.
    client = ("client2", "time_burst_client", "10.0.2.1", "8080", "-t", "60000")
    started = owner.labctl("run", "-l", name, "-d", "--name", "burst", *client)
    assert started.returncode == 0, started.stderr

    def numbers() -> list[str]:
        return re.findall(r"seq=(\d+)", owner.labctl("logs", "-l", name, "burst").stdout)

    assert until(lambda: len(numbers()) >= 10, LIMIT_S)
    assert owner.labctl("stop", "-l", name, "burst").returncode == 0
    return [int(number) for number in numbers()]


def test_packet_loss(owner: Owner) -> None:
    with time_lab(owner) as name:
        impair(owner, name, *LOSS.split())

        tries(owner, name, "client1", "10.0.1.1")
        assert lost(owner, name) == {"client2": 0}
        assert tries(owner, name, "client2", "10.0.2.1") > 1
        assert lost(owner, name)["client2"] >= 1

        impair(owner, name, "--clear")
        tries(owner, name, "client2", "10.0.2.1")
        assert lost(owner, name) == {}


def test_reorderings(owner: Owner) -> None:
    with time_lab(owner) as name:
        in_order = list(range(10))
        assert burst(owner, name) == in_order

        impair(owner, name, *REORDERING.split())
        answers = burst(owner, name)
        logged = owner.labctl("logs", "-l", name, "time_server").stdout

        assert answers != in_order
        assert sorted(answers) == in_order
        asked = [int(number) for number in re.findall(r"seq=(\d+)", logged)]
        assert asked[-10:] == answers

        impair(owner, name, "--clear")
        assert burst(owner, name) == in_order
