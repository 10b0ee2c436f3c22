from itertools import pairwise
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.topology.distributions import distribution_table
from labctl.topology.impairment import PERFECT, Impairment, Slot
from labctl.topology.impairment_words import parse_impairment
from labctl.wire.channel import Channel
from tests.wire.bounds import assert_distribution, assert_rate, assert_same_distribution

MS = 1_000_000
FRAME_BYTES = 60


def channel(words: str, seed: int = 1) -> Channel:
    return Channel(parse_impairment(words.split()), seed)


def frame(number: int, size: int = FRAME_BYTES) -> bytes:
    return number.to_bytes(4, "big") + bytes(size - 4)


def number(packet: bytes) -> int:
    return int.from_bytes(packet[:4], "big")


def drained(link: Channel, *, until_ns: int = 10**13) -> list[tuple[int, int]]:
    """Return all arrivals as (number, ns), woken when the channel asks for it."""
    arrivals: list[tuple[int, int]] = []
    useless = 0
    while (at_ns := link.next_arrival_ns()) is not None and at_ns <= until_ns:
        packets = link.receive(at_ns)
        useless = 0 if packets else useless + 1
        assert useless < 3, "the channel wakes its caller for nothing"
        arrivals += [(number(packet), at_ns) for packet in packets]
    return arrivals


def sent(
    link: Channel, packets: int, *, every_ns: int = 0, size: int = FRAME_BYTES
) -> list[tuple[int, int]]:
    """Send that many packets and return all arrivals as (number, ns)."""
    arrivals = []
    for count in range(packets):
        arrivals += drained(link, until_ns=count * every_ns)
        link.send(frame(count, size), count * every_ns)
    return arrivals + drained(link)


def in_ms(arrivals: list[tuple[int, int]]) -> list[tuple[int, float]]:
    return [(count, at_ns / MS) for count, at_ns in arrivals]


def test_a_perfect_link_passes_everything_at_once() -> None:
    link = channel("")
    assert sent(link, 5, every_ns=MS) == [(count, count * MS) for count in range(5)]
    assert link.next_arrival_ns() is None
    assert (link.seen, link.seen_bytes, link.lost, link.delayed) == (5, 5 * FRAME_BYTES, 0, 0)


def test_a_packet_arrives_only_after_the_delay() -> None:
    link = channel("delay 20ms")
    link.send(b"hello", 5 * MS)
    assert link.next_arrival_ns() == 25 * MS
    assert link.receive(25 * MS - 1) == []
    assert link.receive(25 * MS) == [b"hello"]
    assert link.next_arrival_ns() is None
    assert link.delayed == 1


@pytest.mark.slow
def test_loss_is_as_frequent_as_it_says_and_counted() -> None:
    link = channel("loss 40%")
    arrived = len(sent(link, 20_000))
    assert link.lost == 20_000 - arrived
    assert_rate(link.lost, 20_000, 0.4)


def test_fates_depend_on_the_seed_and_not_on_time() -> None:
    words = "loss 40% duplicate 10% delay 3ms reorder 20%"
    slow = [count for count, _ in sorted(sent(channel(words, 7), 500, every_ns=9 * MS))]
    fast = [count for count, _ in sorted(sent(channel(words, 7), 500))]
    other = [count for count, _ in sorted(sent(channel(words, 8), 500))]
    assert slow == fast
    assert slow != other


def test_one_kind_of_impairment_does_not_change_what_another_does() -> None:
    alone = {count for count, _ in sent(channel("loss 40%"), 500)}
    together = {count for count, _ in sent(channel("loss 40% delay 3ms 1ms reorder 9%"), 500)}
    assert alone == together


def test_a_seed_in_the_words_outranks_the_one_passed_in() -> None:
    assert sent(channel("loss 40% seed 7", 1), 200) == sent(channel("loss 40% seed 7", 2), 200)
    assert sent(channel("loss 40% seed 7", 1), 200) != sent(channel("loss 40% seed 8", 1), 200)


@pytest.mark.slow
def test_a_copy_is_made_as_often_as_it_says() -> None:
    link = channel("duplicate 30%")
    arrivals = sent(link, 10_000)
    assert link.duplicated == len(arrivals) - 10_000
    assert_rate(link.duplicated, 10_000, 0.3)


def test_a_packet_lost_and_duplicated_is_delivered_once() -> None:
    link = channel("loss 100% duplicate 100%")
    assert sent(link, 100) == [(count, 0) for count in range(100)]
    assert (link.lost, link.duplicated) == (0, 0)


@pytest.mark.slow
def test_a_copy_may_be_lost_in_its_turn() -> None:
    # Of a hundred packets 20 are lost and saved by their copy, 80 are sent and 64 copies survive.
    # netem delivered 16 360 of 10 000.
    link = channel("loss 20% duplicate 100%")
    arrivals = [count for count, _ in sent(link, 10_000)]
    twice = len(arrivals) - 10_000
    assert_rate(twice, 10_000, 0.8 * 0.8)


@pytest.mark.slow
def test_corruption_flips_one_bit_anywhere_in_the_frame() -> None:
    link = channel("corrupt 50%")
    original = bytes(range(64))
    flipped = []
    for _ in range(20_000):
        link.send(original, 0)
    for packet in link.receive(0):
        differences = [left ^ right for left, right in zip(packet, original, strict=True)]
        if any(differences):
            (place,) = (place for place, bits in enumerate(differences) if bits)
            assert differences[place].bit_count() == 1
            flipped.append(place * 8 + differences[place].bit_length() - 1)
    assert link.corrupted == len(flipped)
    assert_rate(len(flipped), 20_000, 0.5)
    assert set(flipped) == set(range(64 * 8))
    for place in (0, 13, 63):
        assert_rate(sum(bit // 8 == place for bit in flipped), len(flipped), 1 / 64)


def test_a_packet_and_its_copy_are_corrupted_each_on_its_own() -> None:
    link = channel("duplicate 100% corrupt 50%")
    for _ in range(4000):
        link.send(bytes(64), 0)
    packets = link.receive(0)
    both = sum(
        any(first) and any(second) for first, second in zip(*[iter(packets)] * 2, strict=True)
    )
    assert_rate(both, 4000, 0.25)


def delays_ms(words: str, packets: int = 5000, seed: int = 1) -> list[float]:
    return [at_ns / MS for _, at_ns in sent(channel(words, seed), packets)]


@pytest.mark.slow
def test_a_uniform_jitter_lies_around_the_delay() -> None:
    delays = delays_ms("limit 100k delay 100ms 20ms")
    assert_distribution(delays, lambda ms: (ms - 80) / 40)
    assert min(delays) >= 80
    assert max(delays) <= 120


@pytest.mark.slow
def test_a_normal_jitter_is_normal() -> None:
    delays = delays_ms("limit 100k delay 100ms 10ms distribution normal")
    assert_distribution(delays, NormalDist(100, 10).cdf)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pareto", "paretonormal"])
def test_a_jitter_follows_its_table(name: str) -> None:
    table = distribution_table("pareto" if name == "pareto" else "paretonormal")
    assert table is not None
    delays = delays_ms(f"limit 100k delay 100ms 10ms distribution {name}")
    assert_same_distribution(delays, [100 + 10 * entry / 8192 for entry in table])


@pytest.mark.slow
def test_delays_below_zero_are_none() -> None:
    delays = delays_ms("limit 100k delay 10ms 100ms")
    assert min(delays) == 0
    assert_rate(sum(ms == 0 for ms in delays), len(delays), 90 / 200)


@pytest.mark.slow
def test_correlation_of_a_small_jitter_changes_nothing() -> None:
    assert_same_distribution(
        delays_ms("limit 100k delay 100ms 20ms 25%"),
        delays_ms("limit 100k delay 100ms 20ms", seed=2),
    )


def test_packets_with_a_jitter_overtake_each_other_in_order_of_time() -> None:
    link = channel("delay 10ms 5ms")
    for count in range(100):
        link.send(frame(count), count * MS // 10)
    arrivals = [number(packet) for packet in link.receive(100 * MS)]
    assert sorted(arrivals) == list(range(100))
    assert arrivals != sorted(arrivals)
    assert drained(link) == []


def test_packets_of_the_same_time_keep_their_order() -> None:
    link = channel("delay 10ms")
    for count in range(50):
        link.send(frame(count), 0)
    assert [number(packet) for packet in link.receive(10 * MS)] == list(range(50))


@pytest.mark.slow
def test_reordered_packets_go_at_once() -> None:
    link = channel("limit 100k delay 10ms reorder 25%")
    arrivals = sent(link, 20_000)
    assert link.reordered == sum(at_ns == 0 for _, at_ns in arrivals)
    assert_rate(link.reordered, 20_000, 0.25)


def test_a_gap_makes_every_fifth_packet_go_first() -> None:
    # The order in which netem delivered them.
    assert [count for count, _ in sent(channel("delay 100ms reorder 100% gap 5"), 13)] == [
        *(4, 9),
        *(0, 1, 2, 3, 5, 6, 7, 8, 10, 11, 12),
    ]


@pytest.mark.slow
def test_after_a_gap_each_packet_may_go_until_one_does() -> None:
    link = channel("limit 100k delay 10ms reorder 30% gap 4")
    first = [count for count, at_ns in sent(link, 20_000) if at_ns == 0]
    spacings = [after - before for before, after in pairwise(first)]
    assert min(spacings) == 4
    assert_rate(sum(spacing == 4 for spacing in spacings), len(spacings), 0.3)
    assert_rate(sum(spacing == 5 for spacing in spacings), len(spacings), 0.7 * 0.3)


def test_a_rate_spaces_packets_by_their_length() -> None:
    # 1000 bytes at 1 Mbit/s take 8 ms.
    arrivals = sent(channel("rate 1mbit"), 5, size=1000)
    assert in_ms(arrivals) == [(0, 8), (1, 16), (2, 24), (3, 32), (4, 40)]


def test_with_a_rate_the_delay_is_counted_once() -> None:
    arrivals = sent(channel("delay 100ms rate 1mbit"), 4, size=1000)
    assert in_ms(arrivals) == [(0, 108), (1, 116), (2, 124), (3, 132)]
    spaced = sent(channel("delay 100ms rate 1mbit"), 3, size=1000, every_ns=50 * MS)
    assert in_ms(spaced) == [(0, 108), (1, 158), (2, 208)]


def test_with_a_rate_no_jitter_reorders() -> None:
    arrivals = sent(channel("delay 10ms 9ms rate 100mbit"), 300, every_ns=MS // 10)
    assert [count for count, _ in arrivals] == list(range(300))


def test_a_rate_counts_overhead_and_cells() -> None:
    # 250 + 20 bytes fill three cells of 100, each sent with 5 more: 315 bytes.
    assert in_ms(sent(channel("rate 80kbit 20 100 5"), 2, size=250)) == [(0, 31.5), (1, 63)]
    assert in_ms(sent(channel("rate 8kbit -14"), 2, size=64)) == [(0, 50), (1, 100)]


def test_reordered_packets_do_not_wait_for_the_rate() -> None:
    arrivals = sent(channel("delay 50ms rate 80kbit reorder 100% gap 3"), 6, size=100)
    assert in_ms(arrivals) == [(2, 0), (5, 0), (0, 60), (1, 70), (3, 80), (4, 90)]


def test_what_exceeds_the_limit_is_dropped_and_counted() -> None:
    link = channel("delay 100ms limit 5")
    assert [count for count, _ in sent(link, 12)] == [0, 1, 2, 3, 4]
    assert (link.overrun, link.lost) == (7, 0)


def test_a_full_queue_drops_even_what_would_go_at_once() -> None:
    link = channel("delay 100ms limit 5 reorder 100% gap 3")
    assert [count for count, _ in sent(link, 12)] == [2, 5, 0, 1, 3, 4, 6]
    assert link.overrun == 5


def test_a_copy_may_exceed_the_limit_by_one() -> None:
    link = channel("delay 100ms limit 5 duplicate 100%")
    assert [count for count, _ in sent(link, 12)] == [0, 0, 1, 1, 2, 2]
    assert link.overrun == 9


def test_a_place_is_free_again_once_a_packet_has_left() -> None:
    link = channel("delay 10ms limit 1")
    assert len(sent(link, 5, every_ns=10 * MS)) == 5
    assert link.overrun == 0


IPV4_ECT = bytes(12) + b"\x08\x00" + b"\x45\x02" + bytes(18) + b"payload"
IPV4_NOT_ECT = bytes(12) + b"\x08\x00" + b"\x45\x00" + bytes(18) + b"payload"


def test_ecn_marks_instead_of_losing_where_the_sender_allows_it() -> None:
    link = channel("loss 100% ecn")
    link.send(IPV4_ECT, 0)
    link.send(IPV4_NOT_ECT, 0)
    (marked,) = link.receive(0)
    assert marked[15] == 3
    assert (link.marked, link.lost) == (1, 1)


def test_a_copy_is_marked_too() -> None:
    link = channel("loss 100% ecn duplicate 100%")
    link.send(IPV4_ECT, 0)
    assert [packet[15] for packet in link.receive(0)] == [3, 3]
    assert (link.marked, link.duplicated, link.lost) == (2, 1, 0)


def test_without_ecn_nothing_is_marked() -> None:
    link = channel("loss 50%")
    for _ in range(100):
        link.send(IPV4_ECT, 0)
    assert set(link.receive(0)) == {IPV4_ECT}


def test_slots_release_what_has_gathered() -> None:
    # Packets every 10 ms, as netem released them up to a millisecond.
    arrivals = in_ms(sent(channel("slot 50ms"), 12, every_ns=10 * MS))
    assert arrivals[:6] == [(0, 50), (1, 50), (2, 50), (3, 50), (4, 50), (5, 50)]
    assert arrivals[6:] == [(6, 110), (7, 110), (8, 110), (9, 110), (10, 110), (11, 110)]


def test_a_full_slot_makes_the_rest_wait_for_the_next() -> None:
    by_packets = in_ms(sent(channel("slot 50ms packets 2"), 6, every_ns=MS))
    assert by_packets == [(0, 50), (1, 50), (2, 100), (3, 100), (4, 150), (5, 150)]
    by_bytes = in_ms(sent(channel("slot 50ms bytes 130"), 6, every_ns=MS))
    assert by_bytes == [(0, 50), (1, 50), (2, 50), (3, 100), (4, 100), (5, 100)]


def test_a_slot_opens_within_its_bounds() -> None:
    opened = [in_ms(sent(channel("slot 20ms 80ms", seed), 1))[0][1] for seed in range(1000)]
    assert_distribution(opened, lambda ms: (ms - 20) / 60)


@pytest.mark.slow
def test_a_slot_waits_as_its_distribution_says() -> None:
    words = "slot distribution normal 50ms 5ms"
    opened = [in_ms(sent(channel(words, seed), 1))[0][1] for seed in range(1000)]
    assert_distribution(opened, NormalDist(50, 5).cdf)


def test_a_change_leaves_packets_in_flight_alone() -> None:
    link = channel("delay 100ms")
    link.send(frame(0), 0)
    link.replace(PERFECT)
    link.send(frame(1), 10 * MS)
    link.replace(parse_impairment(["loss", "100%"]))
    link.send(frame(2), 20 * MS)
    link.replace(parse_impairment(["delay", "5ms"]))
    link.send(frame(3), 30 * MS)
    assert in_ms(drained(link)) == [(1, 10), (3, 35), (0, 100)]
    assert (link.seen, link.lost) == (4, 1)


def test_what_was_due_first_arrives_first_even_for_a_late_caller() -> None:
    link = channel("delay 10ms")
    link.send(frame(0), 0)
    link.replace(PERFECT)
    link.send(frame(1), 20 * MS)
    assert [number(packet) for packet in link.receive(20 * MS)] == [0, 1]


def test_a_change_goes_on_with_the_random_numbers() -> None:
    whole = channel("loss 40%")
    changed = channel("loss 40%")
    before = [count for count, _ in sent(whole, 200)]
    fates = [count for count, _ in sent(changed, 100)]
    changed.replace(parse_impairment(["loss", "40%"]))
    fates += [count + 100 for count, _ in sent(changed, 100)]
    assert fates == before


chances = st.sampled_from(["0%", "5%", "50%", "100%"])


@settings(max_examples=150, deadline=None)
@given(
    words=st.tuples(
        *(st.tuples(st.just(keyword), chances) for keyword in ("loss", "duplicate", "corrupt")),
        st.sampled_from(
            [
                (),
                ("delay", "5ms"),
                ("delay", "5ms", "9ms"),
                ("delay", "5ms", "2ms", "reorder", "30%", "gap", "3"),
            ]
        ),
        st.sampled_from([(), ("rate", "1mbit"), ("rate", "1gbit", "-20", "53", "5")]),
        st.sampled_from(
            [(), ("slot", "3ms", "4ms"), ("slot", "1ms", "packets", "2", "bytes", "90")]
        ),
        st.sampled_from([(), ("limit", "4")]),
    ).map(lambda groups: [word for group in groups for word in group]),
    pauses_ns=st.lists(st.integers(0, 3 * MS), max_size=40),
    seed=st.integers(0, 2**64 - 1),
)
@pytest.mark.slow
def test_no_packet_is_unaccounted_for(words: list[str], pauses_ns: list[int], seed: int) -> None:
    link = Channel(parse_impairment(words), seed)
    now_ns = last_ns = arrived = 0
    for pause_ns in pauses_ns:
        now_ns += pause_ns
        for _, at_ns in drained(link, until_ns=now_ns):
            assert at_ns >= last_ns
            last_ns = at_ns
            arrived += 1
        link.send(bytes(FRAME_BYTES), now_ns)
    arrived += len(drained(link))
    assert link.seen == len(pauses_ns)
    assert link.seen + link.duplicated == arrived + link.lost + link.overrun
    assert link.next_arrival_ns() is None


def test_a_slot_is_not_missed_by_a_late_caller() -> None:
    link = Channel(Impairment(slot=Slot(50 * MS, 50 * MS, packets=1)), 1)
    for count in range(4):
        link.send(frame(count), 0)
    assert [number(packet) for packet in link.receive(170 * MS)] == [0, 1, 2]
    assert link.next_arrival_ns() == 200 * MS


def test_a_slot_is_asked_for_no_earlier_than_its_packet() -> None:
    link = channel("slot 50ms")
    link.send(frame(0), 0)
    link.send(frame(1), 60 * MS)
    assert [number(packet) for packet in link.receive(60 * MS)] == [0]
    assert link.next_arrival_ns() == 110 * MS
