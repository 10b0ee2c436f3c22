"""What netem does to packets when it is told by our messages, each attribute by its effect."""

import socket
from collections.abc import Iterator

import pytest

from labctl.kernel import qdisc
from labctl.topology.impairment import (
    Chance,
    Delay,
    GilbertElliotLoss,
    Impairment,
    Loss,
    RandomLoss,
    Rate,
    Reorder,
    Slot,
    StateLoss,
)
from tests.kernel.netem_link import IFINDEX, Link, inside, link
from tests.limits import LIMIT_S

pytestmark = pytest.mark.netem

MS = 1_000_000
ETH_P_ALL = 3
IP_RECVTOS = 13
"""The socket module of Python 3.11 lacks it (ip(7))."""
ECT, CE = 2, 3
FOR_EVER = Delay(60_000 * MS)
"""Whatever is asserted of a packet that waits has been by then."""
HEADERS_BYTES = 42


@pytest.fixture(scope="module")
def shared_link() -> Iterator[Link]:
    with link() as made:
        yield made


@pytest.fixture
def wire(shared_link: Link) -> Link:
    """A link without netem, and with nothing on it."""
    shared_link.clear()
    shared_link.arrivals(0.0, quiet_s=0.05)
    return shared_link


def numbers(wire: Link, count: int, *, quiet_s: float = 0.2) -> list[int]:
    """Send datagrams, and return the numbers of those that arrive, in that order."""
    begin = wire.send(range(1, count + 1))
    return [arrival.number for arrival in wire.arrivals(begin, quiet_s=quiet_s)]


def received(wire: Link, count: int) -> list[int]:
    """Return the numbers of the next datagrams that arrive, in that order."""
    wire.receiver.settimeout(LIMIT_S)
    return [int.from_bytes(wire.receiver.recv(65536)[:4]) for _ in range(count)]


def test_a_delay_delays(wire: Link) -> None:
    wire.add(Impairment(Delay(200 * MS)))
    [arrival] = wire.arrivals(wire.send([1]), quiet_s=1.0)
    assert arrival.after_s >= 0.2


def test_a_distribution_decides_the_delay_and_is_gone_when_replaced(wire: Link) -> None:
    # Always one jitter more: 100 ms and 100 ms.
    wire.add(
        Impairment(Delay(100 * MS, 100 * MS, 0.0, "normal"), limit=100), lambda _: (8192, 8192)
    )
    begin = wire.send(range(100))
    late = wire.arrivals(begin, quiet_s=1.0)
    assert [arrival.number for arrival in late] == [*range(100)]
    assert min(arrival.after_s for arrival in late) >= 0.199
    wire.replace(Impairment(Delay(100 * MS, 100 * MS), limit=100))
    # A hundred uniform delays up to 200 ms: no packet overtakes another once in 10**158 runs.
    shuffled = numbers(wire, 100, quiet_s=1.0)
    assert shuffled != sorted(shuffled)
    assert sorted(shuffled) == [*range(1, 101)]


def test_a_replacement_loses_no_packet_that_waits(wire: Link) -> None:
    wire.add(Impairment(FOR_EVER))
    wire.send(range(20))
    assert wire.statistics.waiting_packets == 20
    wire.replace(Impairment(limit=1))
    wire.send([99])
    # More wait than the new limit allows: a new one finds no room.
    assert wire.statistics.dropped == 1
    assert wire.statistics.waiting_packets == 20


def test_after_a_replacement_new_packets_overtake_those_that_wait(wire: Link) -> None:
    wire.add(Impairment(FOR_EVER))
    wire.send([1, 2, 3])
    wire.replace(Impairment())
    wire.send([4])
    assert received(wire, 1) == [4]
    assert wire.statistics.waiting_packets == 3


def test_a_deletion_loses_the_packets_that_wait(wire: Link) -> None:
    wire.add(Impairment(FOR_EVER))
    begin = wire.send([1, 2, 3])
    assert wire.statistics.waiting_packets == 3
    wire.send_message(qdisc.delete(IFINDEX))
    # Where they waited is nothing any more, and what had been let go would arrive before this.
    wire.send([4])
    assert [arrival.number for arrival in wire.arrivals(begin, quiet_s=0.2)] == [4]


@pytest.mark.parametrize(
    ("loss", "arrive"),
    [
        (RandomLoss(0.0), [1, 2, 3, 4, 5, 6]),
        (RandomLoss(1.0), []),
        # Good for ever, and for ever bad.
        (GilbertElliotLoss(p=0.0, r=1.0, loss_bad=1.0, loss_good=0.0), [1, 2, 3, 4, 5, 6]),
        (GilbertElliotLoss(p=0.0, r=1.0, loss_bad=0.0, loss_good=1.0), []),
        (GilbertElliotLoss(p=1.0, r=0.0, loss_bad=0.0, loss_good=0.0), [1, 2, 3, 4, 5, 6]),
        # From good to a loss that never ends.
        (StateLoss(p13=0.0, p31=1.0, p32=0.0, p23=1.0, p14=0.0), [1, 2, 3, 4, 5, 6]),
        (StateLoss(p13=1.0, p31=0.0, p32=0.0, p23=1.0, p14=0.0), []),
    ],
)
def test_loss_models_lose_what_they_must(wire: Link, loss: Loss, arrive: list[int]) -> None:
    wire.add(Impairment(loss=loss))
    found = numbers(wire, 6)
    assert found == arrive
    assert wire.statistics.dropped == 6 - len(found)


def test_half_of_the_packets_are_lost(wire: Link) -> None:
    wire.add(Impairment(loss=RandomLoss(0.5)))
    wire.send(range(2000), size=20)
    # A coin thrown 2000 times is further from 1000 than this once in 10**9 runs.
    assert 860 <= wire.statistics.dropped <= 1140


def test_ecn_marks_instead(wire: Link) -> None:
    wire.add(Impairment(loss=RandomLoss(1.0), ecn=True))
    wire.receiver.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 1)
    wire.sender.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, ECT)
    try:
        wire.send([1])
        wire.receiver.settimeout(1.0)
        _, ancillary, _, _ = wire.receiver.recvmsg(100, 100)
        assert [data[0] for _, kind, data in ancillary if kind == socket.IP_TOS] == [CE]
    finally:
        wire.receiver.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 0)
        wire.sender.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0)


def test_every_packet_is_duplicated(wire: Link) -> None:
    wire.add(Impairment(duplicate=Chance(1.0)))
    assert sorted(numbers(wire, 5)) == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert wire.statistics.sent_packets == 10


def test_corruption_flips_one_bit(wire: Link) -> None:
    with inside(wire.far, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)) as tap:
        tap.bind(("veth0", ETH_P_ALL))
        tap.settimeout(1.0)
        wire.send([0x55], size=1000)
        whole = tap.recv(2000)
        wire.add(Impairment(corrupt=Chance(1.0)))
        for _ in range(20):
            wire.send([0x55], size=1000)
            frame = tap.recv(2000)
            assert len(frame) == len(whole)
            # IPv4 numbers its packets, and the UDP checksum is only there where netem needs it.
            bits = int.from_bytes(frame[42:]) ^ int.from_bytes(whole[42:])
            assert bits.bit_count() <= 1
    assert wire.statistics.dropped == 0


def test_every_third_packet_passes_those_that_wait(wire: Link) -> None:
    wire.add(Impairment(FOR_EVER, reorder=Reorder(1.0, gap=3)))
    wire.send(range(1, 10))
    assert received(wire, 3) == [3, 6, 9]
    assert wire.statistics.waiting_packets == 6


def test_a_rate_spaces_packets(wire: Link) -> None:
    # 10 kB/s, and 142 bytes each with their headers, then as much again by the overhead.
    for overhead, at_least_s in ((0, 0.142), (142, 0.284)):
        wire.replace(Impairment(rate=Rate(10_000, overhead)))
        arrived = wire.arrivals(wire.send(range(10)), quiet_s=0.5)
        assert len(arrived) == 10
        assert arrived[-1].after_s >= at_least_s


def test_slots_let_a_few_packets_go_at_a_time(wire: Link) -> None:
    wire.add(Impairment(slot=Slot(100 * MS, packets=2)))
    arrived = wire.arrivals(wire.send(range(6)), quiet_s=0.6)
    assert len(arrived) == 6
    assert arrived[-1].after_s >= 0.2


def test_a_limit_drops_what_finds_no_room(wire: Link) -> None:
    wire.add(Impairment(FOR_EVER, limit=3))
    sizes = [101, 102, 104, 108, 116]
    for size in sizes:
        wire.send([0], size=size)
    assert wire.statistics.dropped == 2
    assert wire.statistics.waiting_packets == 3
    assert wire.statistics.waiting_bytes == sum(sizes[:3]) + 3 * HEADERS_BYTES
