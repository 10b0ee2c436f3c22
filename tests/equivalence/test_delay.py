"""How long packets take, on every link by the same law: a machine makes them late, never early."""

from collections.abc import Callable, Sequence
from functools import cache
from statistics import NormalDist
from typing import get_args

import pytest

from labctl.topology.distributions import TABLE_SCALE, distribution_table
from labctl.topology.impairment import Distribution
from tests.equivalence.exchange import (
    MS,
    ON_TIME,
    LinkUnderTest,
    Pace,
    Run,
    carried,
    few_spoilt,
    late_at_most,
)
from tests.equivalence.frames import frame
from tests.equivalence.laws import assert_delayed
from tests.wire.bounds import assert_rate

pytestmark = pytest.mark.parametrize(
    "link",
    [
        "model",
        pytest.param("wire", marks=[pytest.mark.kernel, pytest.mark.slow]),
        pytest.param("netem", marks=pytest.mark.netem),
    ],
    indirect=True,
)

PACKETS = 3000
PACE = Pace(at_once=6, every_ns=2 * MS)
CONTROL_NS = 100 * MS

MEAN_MS, JITTER_MS = 600, 150
GRACES_MS = (0, 1, 2, 4, 8, 15)
"""How late packets may be; of these the least that will do."""

SPOILT = 0.03
"""The share of packets that may be later than that."""

USABLE = few_spoilt(GRACES_MS[-1], SPOILT)


def delayed(link: LinkUnderTest, words: str, flaw: Callable[[Run], str] = USABLE) -> Run:
    run = carried(
        link,
        f"limit 100000 {words}",
        [frame(number) for number in range(PACKETS)],
        pace=PACE,
        awaited=PACKETS,
        control_ns=CONTROL_NS,
        flaw=flaw,
    )
    assert sorted(run.numbers) == [*range(PACKETS)]
    return run


def assert_lawful(run: Run, delays_ms: Sequence[float], law_ms: Sequence[float]) -> None:
    lateness = run.lateness
    grace_ns, spoilt = next(
        (grace_ms * MS, spoilt)
        for grace_ms in GRACES_MS
        if (spoilt := lateness.spoilt(run.arrivals, grace_ms * MS)) <= SPOILT * len(run.arrivals)
    )
    # Where only some of the packets are looked at, as many of them may be spoilt.
    assert_delayed(delays_ms, law_ms, lateness.granted_ns(grace_ns) / MS, spoilt)


def in_ms(run: Run) -> list[float]:
    return [delay_ns / MS for delay_ns in run.delays_ns]


@cache
def law(distribution: Distribution) -> tuple[float, ...]:
    """Return delays that are all as likely, of ``delay MEAN_MS JITTER_MS`` with a distribution."""
    many = 10_000
    shares = [(index + 0.5) / many for index in range(many)]
    match distribution:
        case "uniform":
            return tuple(MEAN_MS + JITTER_MS * (2 * share - 1) for share in shares)
        case "normal":
            # As the tables have it, which end at four deviations.
            normal = NormalDist(MEAN_MS, JITTER_MS)
            return tuple(max(normal.inv_cdf(share), 0.0) for share in shares)
        case _:
            table = distribution_table(distribution)
            assert table is not None
            return tuple(max(MEAN_MS + JITTER_MS * entry / TABLE_SCALE, 0.0) for entry in table)


def test_every_packet_waits_for_the_delay(link: LinkUnderTest) -> None:
    run = delayed(link, "delay 100ms", late_at_most(100))
    assert run.numbers == [*range(PACKETS)]
    assert min(run.delays_ns) >= 100 * MS
    assert max(run.delays_ns) <= 100 * MS + run.late_ns


@pytest.mark.parametrize("distribution", get_args(Distribution))
def test_a_jitter_follows_its_distribution(link: LinkUnderTest, distribution: Distribution) -> None:
    words = f"delay {MEAN_MS}ms {JITTER_MS}ms"
    if distribution != "uniform":
        words += f" distribution {distribution}"
    run = delayed(link, words)
    assert_lawful(run, in_ms(run), law(distribution))
    # Where nothing is late, so many packets are enough to tell it from each of the others.
    for other in get_args(Distribution):
        if other != distribution and run.lateness == ON_TIME:
            with pytest.raises(AssertionError):
                assert_lawful(run, in_ms(run), law(other))


def test_packets_overtake_each_other_in_the_order_of_their_times(link: LinkUnderTest) -> None:
    # However late the machine is, it lets them go in this order.
    run = delayed(link, f"delay {MEAN_MS}ms {JITTER_MS}ms", lambda run: "")
    assert run.numbers != sorted(run.numbers)
    # Of the packets sent at one moment, half arrive before the one that was sent next.
    order = {number: place for place, number in enumerate(run.numbers)}
    pairs = range(0, PACKETS, PACE.at_once)
    assert_rate(sum(order[first] > order[first + 1] for first in pairs), len(pairs), 0.5)


def test_correlation_makes_no_difference_to_a_jitter(link: LinkUnderTest) -> None:
    run = delayed(link, f"delay {MEAN_MS}ms {JITTER_MS}ms 25%")
    # Packets far apart: their numbers are independent.
    apart = sorted(run.arrivals)[::16]
    delays = [arrival.delay_ns / MS for arrival in apart]
    assert_lawful(run, delays, law("uniform"))


def test_a_packet_and_its_copy_are_delayed_each_on_its_own(link: LinkUnderTest) -> None:
    packets = PACKETS // 2
    run = carried(
        link,
        f"limit 100000 duplicate 100% delay {MEAN_MS}ms {JITTER_MS}ms",
        [frame(number) for number in range(packets)],
        pace=PACE,
        awaited=2 * packets,
        control_ns=CONTROL_NS,
        flaw=USABLE,
    )
    delays: dict[int, list[float]] = {}
    for arrival in run.arrivals:
        delays.setdefault(arrival.number, []).append(arrival.delay_ns / MS)
    assert {len(pair) for pair in delays.values()} == {2}
    # The shorter and the longer of two: the share of both is the product of the shares.
    shares = [(index + 0.5) / 10_000 for index in range(10_000)]
    shorter = [MEAN_MS + JITTER_MS * (1 - 2 * (1 - share) ** 0.5) for share in shares]
    longer = [MEAN_MS + JITTER_MS * (2 * share**0.5 - 1) for share in shares]
    assert_lawful(run, [min(pair) for pair in delays.values()], shorter)
    assert_lawful(run, [max(pair) for pair in delays.values()], longer)


def test_delays_below_zero_are_none(link: LinkUnderTest) -> None:
    run = delayed(link, "delay 20ms 180ms")
    # From -160 ms to 200 ms: what is none may be late, what is more than that is not none.
    law_ms = [max(20 + 180 * (2 * (index + 0.5) / 10_000 - 1), 0.0) for index in range(10_000)]
    assert_lawful(run, in_ms(run), law_ms)
