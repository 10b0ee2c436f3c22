"""Which packets are copied or damaged, and how, on every link by the same law."""

import pytest

from labctl.topology.correlation import real_probability
from tests.equivalence.exchange import LinkUnderTest, Run, carried
from tests.equivalence.frames import SMALLEST, frame
from tests.equivalence.laws import after
from tests.wire.bounds import assert_distribution, assert_rate

pytestmark = pytest.mark.parametrize(
    "link",
    [
        "model",
        pytest.param("wire", marks=[pytest.mark.kernel, pytest.mark.slow]),
        pytest.param("netem", marks=pytest.mark.netem),
    ],
    indirect=True,
)


def passed(link: LinkUnderTest, words: str, packets: int) -> Run:
    return carried(link, words, [frame(number) for number in range(packets)])


def copied(run: Run) -> list[bool]:
    """Return whether each packet arrived twice; none may be missing, and copies come together."""
    assert run.numbers == sorted(run.numbers)
    times = [0] * run.sent
    for number in run.numbers:
        times[number] += 1
    assert set(times) <= {1, 2}
    return [count == 2 for count in times]


def test_each_packet_is_copied_on_its_own(link: LinkUnderTest) -> None:
    run = passed(link, "duplicate 30%", 5000)
    twice = copied(run)
    assert_rate(sum(twice), 5000, 0.3)
    assert_rate(after(twice, True, 1000), 1000, 0.3)
    assert run.dropped == 0
    for arrival in run.arrivals:
        assert arrival.frame == frame(arrival.number)


def test_correlation_changes_how_many_are_copied(link: LinkUnderTest) -> None:
    twice = copied(passed(link, "duplicate 30% 25%", 8000))
    assert_rate(sum(twice[15::16]), 500, real_probability(0.3, 0.25))


def test_a_packet_both_lost_and_copied_arrives_once(link: LinkUnderTest) -> None:
    # Of a hundred, 20 are lost and made good by the copy; of the copies of the rest 20 % are lost.
    twice = copied(passed(link, "loss 20% duplicate 100%", 5000))
    assert_rate(sum(twice), 5000, 0.8 * 0.8)


def test_losses_and_copies_are_independent(link: LinkUnderTest) -> None:
    run = passed(link, "loss 30% duplicate 40%", 5000)
    assert_rate(sum(run.lost), 5000, 0.3 * 0.6)
    assert_rate(len(run.numbers) - len(set(run.numbers)), 5000, 0.4 * 0.7 * 0.7)


def flipped_bit(received: bytes, sent: bytes) -> int | None:
    """Return which bit was flipped, from the start of the frame; all others are as they were."""
    assert len(received) == len(sent)
    places = [place for place, byte in enumerate(sent) if received[place] != byte]
    if not places:
        return None
    [place] = places
    difference = received[place] ^ sent[place]
    assert difference.bit_count() == 1
    return 8 * place + difference.bit_length() - 1


def test_one_bit_is_flipped_anywhere_in_the_frame(link: LinkUnderTest) -> None:
    run = passed(link, "corrupt 60%", 5000)
    assert len(run.arrivals) == 5000
    bits = [
        # By the order in which they come: the number itself may be damaged.
        flipped_bit(arrival.frame, frame(number))
        for number, arrival in enumerate(run.arrivals)
    ]
    flipped = [bit for bit in bits if bit is not None]
    assert_rate(len(flipped), 5000, 0.6)
    damaged = [bit is not None for bit in bits]
    assert_rate(after(damaged, True, 2000), 2000, 0.6)
    # Spread over the whole length: a bit is a piece of the line from 0 to 1.
    pieces = 8 * SMALLEST
    middles = [(bit + 0.5) / pieces for bit in flipped]
    assert_distribution(middles, lambda share: share)
    for bit_of_byte in range(8):
        assert_rate(sum(bit % 8 == bit_of_byte for bit in flipped), len(flipped), 1 / 8)


def test_correlation_changes_how_many_are_damaged(link: LinkUnderTest) -> None:
    run = passed(link, "corrupt 30% 25%", 8000)
    assert len(run.arrivals) == 8000
    damaged = [arrival.frame != frame(n) for n, arrival in enumerate(run.arrivals)]
    assert_rate(sum(damaged[15::16]), 500, real_probability(0.3, 0.25))


def test_a_packet_and_its_copy_are_damaged_each_on_its_own(link: LinkUnderTest) -> None:
    run = passed(link, "duplicate 100% corrupt 50%", 3000)
    frames = [arrival.frame for arrival in run.arrivals]
    assert len(frames) == 6000
    damaged = [
        (first != frame(number), second != frame(number))
        for number, (first, second) in enumerate(zip(frames[::2], frames[1::2], strict=True))
    ]
    assert_rate(damaged.count((True, True)), 3000, 0.25)
    assert_rate(damaged.count((False, False)), 3000, 0.25)
