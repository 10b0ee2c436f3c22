"""With a seed, the wire does to each frame what the model does to it: no statistics, the same fates."""

import pytest

from tests.equivalence.exchange import MS, LinkUnderTest, Pace, carried, late_at_most
from tests.equivalence.frames import ECT, Arrival, frame
from tests.equivalence.model_link import ModelLink

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.slow,
    pytest.mark.parametrize("link", ["wire"], indirect=True),
]

PACE = Pace(at_once=6, every_ns=2 * MS)


@pytest.mark.parametrize(
    "words",
    [
        "loss 30%",
        "loss 30% 40%",
        "loss gemodel 20% 30% 90% 10%",
        "loss state 15% 40% 20% 60% 10%",
        "loss 30% ecn",
        "duplicate 30%",
        "corrupt 50%",
        "loss 20% duplicate 30% 20% corrupt 40% 10%",
    ],
)
def test_the_same_frames_come_out(link: LinkUnderTest, words: str) -> None:
    frames = [frame(number, 100 + 37 * number % 900, ECT) for number in range(1500)]
    for seed in (7, 8):
        on_wire = carried(link, f"{words} seed {seed}", frames)
        in_model = carried(ModelLink(), f"{words} seed {seed}", frames)
        assert [each.frame for each in on_wire.arrivals] == [
            each.frame for each in in_model.arrivals
        ]
        assert on_wire.dropped == in_model.dropped


@pytest.mark.parametrize(
    "words",
    [
        "delay 150ms 50ms",
        "delay 150ms 50ms 30%",
        "delay 150ms 50ms distribution normal",
        "delay 150ms 50ms distribution pareto",
        "delay 150ms 50ms distribution paretonormal",
        "delay 150ms 50ms duplicate 20% loss 10% reorder 30% gap 2",
        "delay 150ms reorder 30% 20%",
    ],
)
def test_the_same_frames_take_as_long(link: LinkUnderTest, words: str) -> None:
    asked = f"limit 100000 {words} seed 7"
    frames = [frame(number) for number in range(900)]
    in_model = carried(ModelLink(), asked, frames, pace=PACE)
    on_wire = carried(
        link,
        asked,
        frames,
        pace=PACE,
        awaited=len(in_model.arrivals),
        control_ns=100 * MS,
        flaw=late_at_most(100),
    )
    assert sorted(on_wire.numbers) == sorted(in_model.numbers)
    both = zip(
        sorted(on_wire.arrivals, key=by_number_and_delay),
        sorted(in_model.arrivals, key=by_number_and_delay),
        strict=True,
    )
    for wire, model in both:
        assert 0 <= wire.delay_ns - model.delay_ns <= on_wire.late_ns


def by_number_and_delay(arrival: Arrival) -> tuple[int, int]:
    return arrival.number, arrival.delay_ns


def test_another_seed_gives_other_fates(link: LinkUnderTest) -> None:
    frames = [frame(number) for number in range(300)]
    assert (
        carried(link, "loss 50% seed 7", frames).lost
        != carried(link, "loss 50% seed 8", frames).lost
    )
