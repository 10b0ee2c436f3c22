"""Which packets go past others, wait for others or find no room, on every link by the same law."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from labctl.topology.correlation import real_probability
from tests.equivalence.exchange import (
    MS,
    LinkUnderTest,
    Pace,
    Run,
    carried,
    few_spoilt,
    late_at_most,
    sent_together,
)
from tests.equivalence.frames import frame
from tests.equivalence.laws import after, assert_delayed, assert_lengths, geometric
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

DELAY_MS = 400
PACE = Pace(at_once=16, every_ns=MS)


def reordered(link: LinkUnderTest, words: str, packets: int) -> Run:
    return carried(
        link,
        f"limit 100000 delay {DELAY_MS}ms reorder {words}",
        [frame(number) for number in range(packets)],
        pace=PACE,
        awaited=packets,
        control_ns=DELAY_MS * MS,
        flaw=late_at_most(DELAY_MS / 2),
    )


def at_once(run: Run) -> list[bool]:
    """Return which packets did not wait, after a look at all of their times."""
    assert sorted(run.numbers) == [*range(run.sent)]
    did_not_wait = [False] * run.sent
    for arrival in run.arrivals:
        waited = arrival.delay_ns >= DELAY_MS * MS
        did_not_wait[arrival.number] = not waited
        assert arrival.delay_ns <= waited * DELAY_MS * MS + run.late_ns
    for kind in (True, False):
        same = [number for number in run.numbers if did_not_wait[number] == kind]
        assert same == sorted(same), "packets that waited equally long changed places"
    return did_not_wait


def test_each_packet_goes_at_once_on_its_own(link: LinkUnderTest) -> None:
    first = at_once(reordered(link, "25%", 3000))
    assert_rate(sum(first), 3000, 0.25)
    assert_rate(after(first, True, 500), 500, 0.25)


def test_correlation_changes_how_many_go_at_once(link: LinkUnderTest) -> None:
    first = at_once(reordered(link, "30% 25%", 4800))
    assert_rate(sum(first[15::16]), 300, real_probability(0.3, 0.25))


def test_every_fifth_packet_goes_at_once(link: LinkUnderTest) -> None:
    first = at_once(reordered(link, "100% gap 5", 100))
    assert positions(first) == [*range(4, 100, 5)]


def test_after_a_gap_each_packet_may_go_until_one_does(link: LinkUnderTest) -> None:
    first = positions(at_once(reordered(link, "30% gap 4", 4000)))
    spacings = [later - earlier for earlier, later in pairwise([-1, *first])][:500]
    assert len(spacings) == 500
    assert min(spacings) == 4
    assert_lengths([spacing - 3 for spacing in spacings], geometric(0.3))


def positions(first: list[bool]) -> list[int]:
    return [number for number, went in enumerate(first) if went]


def test_a_change_begins_the_count_to_a_gap_anew(link: LinkUnderTest) -> None:
    words = f"delay {DELAY_MS}ms reorder 100% gap 5"

    def begin_and_change() -> None:
        assert link.carry([frame(0), frame(1)], PACE, awaited=2, control_ns=0).numbers == [0, 1]
        link.change(words)

    run = carried(
        link,
        words,
        [frame(number) for number in range(5)],
        pace=PACE,
        awaited=5,
        control_ns=100 * MS,
        flaw=sent_together(DELAY_MS / 2),
        first=begin_and_change,
    )
    assert run.numbers == [4, 0, 1, 2, 3]


def test_a_change_begins_a_burst_of_losses_anew(link: LinkUnderTest) -> None:
    # The first packet is spared; after it the bad state has no end.
    words = "loss gemodel 100% 0%"
    link.renew(words)
    for _ in range(3):
        link.change(words)
        run = link.carry([frame(n) for n in range(4)], PACE, awaited=None, control_ns=0)
        assert run.numbers == [0]


def assert_in_time(time_ns: int, due_ns: int, run: Run, times_late: int = 2) -> None:
    """Fail where a frame came too early, or later than the machine can have made it.

    It may have made the first one late, from which the link counts, and this one.
    """
    assert due_ns <= time_ns <= due_ns + run.sending_ns + times_late * run.late_ns


ALL_AT_ONCE = Pace(at_once=1000, every_ns=2 * MS)

GRACE_MS = 6

BYTE_NS = 20_000
"""What a rate of 400kbit takes for a byte."""


@pytest.mark.parametrize(
    ("words", "through_in_ns"),
    [
        ("rate 400kbit", lambda size: size * BYTE_NS),
        ("rate 400kbit 150", lambda size: (size + 150) * BYTE_NS),
        ("rate 400kbit -50", lambda size: (size - 50) * BYTE_NS),
        # Cells of 48 bytes, each sent with 5 more, as ATM does.
        ("rate 400kbit 0 48 5", lambda size: -(-size // 48) * 53 * BYTE_NS),
        ("delay 60ms rate 400kbit", lambda size: size * BYTE_NS),
    ],
)
def test_a_rate_lets_one_packet_through_after_the_other(
    link: LinkUnderTest, words: str, through_in_ns: Callable[[int], int]
) -> None:
    sizes = [110 + 97 * number % 400 for number in range(40)]
    frames = [frame(number, size) for number, size in enumerate(sizes)]
    run = carried(link, words, frames, pace=ALL_AT_ONCE, control_ns=100 * MS, flaw=late_at_most(60))
    assert run.numbers == [*range(40)]
    due_ns = 60 * MS if "delay" in words else 0
    for time_ns, size in zip(run.times_ns, sizes, strict=True):
        due_ns += through_in_ns(size)
        assert_in_time(time_ns, due_ns, run)


def test_what_finds_no_room_is_dropped(link: LinkUnderTest) -> None:
    run = carried(
        link,
        f"delay {DELAY_MS}ms limit 50",
        [frame(number) for number in range(120)],
        pace=ALL_AT_ONCE,
        control_ns=100 * MS,
        flaw=sent_together(DELAY_MS / 2),
    )
    assert run.numbers == [*range(50)]
    assert run.dropped == 70


@pytest.mark.parametrize(
    ("words", "packets", "numbers"),
    [
        # A full queue drops even what would have gone at once.
        ("limit 5 reorder 100% gap 3", 12, [2, 5, 0, 1, 3, 4, 6]),
        # Room is looked for once for a packet and its copy.
        ("limit 5 duplicate 100%", 12, [0, 0, 1, 1, 2, 2]),
        # Those that go at once do not wait for the rate either.
        ("rate 8mbit reorder 100% gap 3", 6, [2, 5, 0, 1, 3, 4]),
    ],
)
def test_packets_come_in_this_order(
    link: LinkUnderTest, words: str, packets: int, numbers: list[int]
) -> None:
    run = carried(
        link,
        f"delay {DELAY_MS}ms {words}",
        [frame(number) for number in range(packets)],
        pace=ALL_AT_ONCE,
        control_ns=100 * MS,
        flaw=sent_together(DELAY_MS / 2),
    )
    assert run.numbers == numbers


def test_with_a_rate_no_jitter_reorders(link: LinkUnderTest) -> None:
    run = carried(link, "delay 40ms 30ms rate 80mbit", [frame(number) for number in range(300)])
    assert run.numbers == [*range(300)]


def test_slots_open_after_times_between_two(link: LinkUnderTest) -> None:
    slots = 50
    run = carried(
        link,
        "slot 20ms 120ms packets 1",
        [frame(number) for number in range(slots)],
        pace=ALL_AT_ONCE,
        control_ns=100 * MS,
        flaw=few_spoilt(GRACE_MS, 0.1),
    )
    late_ms = run.lateness.granted_ns(GRACE_MS * MS) / MS
    spoilt = run.lateness.spoilt(run.arrivals, GRACE_MS * MS)
    times_ms = [time_ns / MS for time_ns in run.times_ns]
    # A slot that was late leaves less of the time to the next, which may be late in its turn; and
    # each is the end of one interval and the beginning of another.
    intervals_ms = [later - earlier + late_ms for earlier, later in pairwise(times_ms)]
    law_ms = [20 + 100 * (index + 0.5) / 10_000 for index in range(10_000)]
    assert_delayed(intervals_ms, law_ms, 2 * late_ms, 2 * spoilt)


def test_a_slot_lets_a_few_packets_go_together(link: LinkUnderTest) -> None:
    run = carried(
        link,
        "slot 80ms packets 4",
        [frame(number) for number in range(20)],
        pace=ALL_AT_ONCE,
        control_ns=100 * MS,
        flaw=late_at_most(70),
    )
    assert run.numbers == [*range(20)]
    for place, time_ns in enumerate(run.times_ns):
        # A slot that opens late makes the next one late.
        slot = 1 + place // 4
        assert_in_time(time_ns, slot * 80 * MS, run, times_late=1 + slot)
