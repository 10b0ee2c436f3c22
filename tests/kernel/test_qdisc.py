"""netem as the kernel has it: put there, changed, taken away, read back by us and by tc."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.kernel import netem, qdisc
from labctl.kernel.netlink import NetlinkError
from labctl.topology.impairment import (
    Chance,
    Delay,
    GilbertElliotLoss,
    Impairment,
    RandomLoss,
    Rate,
    Reorder,
    Slot,
)
from tests.kernel.netem_link import IFINDEX, Link, link
from tests.kernel.test_netem import BY_TC, MEANINGS, MS, TABLE

EVERYTHING = Impairment(
    Delay(100 * MS, 10 * MS, 0.25, "normal"),
    GilbertElliotLoss(0.1, 0.2, 0.3, 0.4),
    ecn=True,
    duplicate=Chance(0.1, 0.2),
    corrupt=Chance(0.1, 0.2),
    reorder=Reorder(0.1, 0.2, gap=3),
    rate=Rate(2**33, 1, 2, 3),
    slot=Slot(distribution="pareto", delay_ns=MS, jitter_ns=MS, packets=3, bytes=4),
    limit=7,
)


def test_no_netem_in_the_kernel_is_told_with_the_way_without() -> None:
    error = qdisc.refused(FileNotFoundError(2, "no such file"), "client1:eth0")
    assert "sch_netem" in error.problem
    assert "--impairments wire" in error.hint
    assert (error.where, error.exit_code) == ("client1:eth0", 3)


def test_what_else_the_kernel_says_is_passed_on() -> None:
    error = qdisc.refused(PermissionError(1, "Operation not permitted"), "client1:eth0")
    assert error.problem == "the kernel refuses netem: Operation not permitted"


@pytest.fixture(scope="module")
def shared_link() -> Iterator[Link]:
    with link() as made:
        yield made


@pytest.fixture
def wire(shared_link: Link) -> Link:
    """A link without netem."""
    shared_link.clear()
    return shared_link


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tc")
    for name in ("normal", "pareto", "paretonormal"):
        (folder / f"{name}.dist").write_text(" ".join(map(str, TABLE)))
    return folder


def shown_by_tc(wire: Link) -> dict[str, object]:
    [shown] = json.loads(wire.tc("-json", "qdisc", "show", "dev", "veth0"))
    options = shown["options"]
    assert shown["kind"] == "netem"
    assert isinstance(options, dict)
    options.pop("seed", None)
    return options


def in_ticks(asked: Impairment) -> Impairment:
    """Return what is left of the times when tc sends them: whole ticks of 64 ns."""
    delay = asked.delay and asked.delay._replace(
        time_ns=asked.delay.time_ns // 64 * 64, jitter_ns=asked.delay.jitter_ns // 64 * 64
    )
    return asked._replace(delay=delay)


@pytest.mark.netem
@pytest.mark.parametrize("words", BY_TC)
def test_tc_shows_ours_as_its_own(wire: Link, tables: Path, words: str) -> None:
    wire.tc("qdisc", "add", "dev", "veth0", "root", "netem", *words.split(), tables=tables)
    by_tc, read_of_tc = shown_by_tc(wire), wire.installed()[IFINDEX].impairment
    wire.clear()
    wire.add(MEANINGS[words])
    assert shown_by_tc(wire) == by_tc
    assert netem.as_asked(in_ticks(MEANINGS[words]), read_of_tc) == in_ticks(MEANINGS[words])
    read = wire.installed()[IFINDEX].impairment
    assert netem.as_asked(MEANINGS[words], read) == MEANINGS[words]


@pytest.mark.netem
@pytest.mark.parametrize("words", BY_TC)
def test_nothing_of_what_is_replaced_is_left(wire: Link, words: str) -> None:
    wire.add(MEANINGS[words])
    fresh = shown_by_tc(wire)
    wire.clear()
    wire.add(EVERYTHING)
    wire.replace(MEANINGS[words])
    assert shown_by_tc(wire) == fresh
    read = wire.installed()[IFINDEX].impairment
    assert netem.as_asked(MEANINGS[words], read) == MEANINGS[words]


@pytest.mark.netem
def test_a_replacement_keeps_the_qdisc_and_its_counts(wire: Link) -> None:
    wire.add(Impairment(loss=RandomLoss(1.0)))
    [before] = json.loads(wire.tc("-json", "qdisc", "show", "dev", "veth0"))
    wire.send(range(5))
    wire.replace(Impairment())
    [after] = json.loads(wire.tc("-json", "qdisc", "show", "dev", "veth0"))
    assert after["handle"] == before["handle"]
    assert wire.statistics.dropped == 5


@pytest.mark.netem
def test_a_replacement_needs_nothing_to_replace(wire: Link) -> None:
    wire.replace(EVERYTHING)
    read = wire.installed()[IFINDEX].impairment
    assert netem.as_asked(EVERYTHING, read) == EVERYTHING


@pytest.mark.netem
def test_times_beyond_those_of_tc_are_kept_to_the_nanosecond(wire: Link) -> None:
    asked = Impairment(Delay(1_000_000_000_007, 2**31 - 1))
    wire.add(asked)
    assert wire.installed()[IFINDEX].impairment._replace(seed=None) == asked


@pytest.mark.netem
def test_a_seed_is_kept_by_kernels_that_have_one_and_missed_in_others(wire: Link) -> None:
    wire.add(Impairment(seed=4711))
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    read = wire.installed()[IFINDEX].impairment
    assert netem.as_asked(Impairment(seed=4711), read).seed == (4711 if release >= (6, 6) else None)


@pytest.mark.netem
def test_after_a_deletion_there_is_no_netem(wire: Link) -> None:
    wire.add(EVERYTHING)
    wire.send_message(qdisc.delete(IFINDEX))
    assert wire.installed() == {}
    assert "netem" not in wire.tc("qdisc", "show")


@pytest.mark.netem
def test_other_qdiscs_are_not_taken_for_netem(wire: Link) -> None:
    wire.tc("qdisc", "add", "dev", "veth0", "root", "pfifo")
    try:
        assert wire.installed() == {}
    finally:
        wire.tc("qdisc", "del", "dev", "veth0", "root")


@pytest.mark.netem
def test_netem_that_is_there_already_is_told(wire: Link) -> None:
    wire.add(Impairment())
    with pytest.raises(NetlinkError) as caught:
        wire.add(Impairment())
    error = qdisc.refused(caught.value, "client1:eth0")
    assert error.problem == "the interface has a queueing discipline already"
    assert "tc qdisc show" in error.hint


@pytest.mark.netem
def test_what_is_counted_is_what_tc_counts(wire: Link) -> None:
    wire.add(Impairment(Delay(60_000 * MS), limit=3))
    wire.send(range(5), size=200)
    counted = wire.statistics
    [by_tc] = json.loads(wire.tc("-json", "-s", "qdisc", "show", "dev", "veth0"))
    assert (counted.dropped, counted.waiting_packets) == (2, 3)
    assert counted == qdisc.Statistics(
        by_tc["packets"],
        by_tc["bytes"],
        by_tc["drops"],
        by_tc["overlimits"],
        by_tc["qlen"],
        by_tc["backlog"],
    )
