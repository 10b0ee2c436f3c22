"""What the wire cannot do as netem does it, each as labctl.wire.channel lists it."""

from collections.abc import Sequence

import pytest

from tests.equivalence.exchange import MS, Pace, Run, carried, sent_together
from tests.equivalence.frames import Arrival, frame, number_of
from tests.equivalence.kernel_link import KernelLink

pytestmark = pytest.mark.parametrize(
    "link",
    [
        pytest.param("wire", marks=[pytest.mark.kernel, pytest.mark.slow]),
        pytest.param("netem", marks=pytest.mark.netem),
    ],
    indirect=True,
)

DELAY_MS = 300
ALL_AT_ONCE = Pace(at_once=1000, every_ns=2 * MS)


def witnessed(
    link: KernelLink, words: str, frames: Sequence[bytes], awaited: int | None = None
) -> tuple[Run, list[Arrival]]:
    """Return what arrived, and what tcpdump would have shown at the end that sends."""
    witness = link.open_witness()
    try:
        run = carried(
            link,
            words,
            frames,
            pace=ALL_AT_ONCE,
            awaited=awaited,
            control_ns=100 * MS,
            flaw=sent_together(DELAY_MS / 2),
        )
        heard = [
            Arrival(number_of(data), run.sent_ns[number_of(data)], at_ns, data)
            for at_ns, data in witness.heard()
            # Not the control frames, which are longer, nor those of an attempt before.
            if len(data) == len(frames[0]) and at_ns >= run.sent_ns[0]
        ]
    finally:
        witness.sock.close()
    return run, heard


def test_only_netem_tells_the_sender_that_there_was_no_room(link: KernelLink) -> None:
    run, _ = witnessed(link, f"delay {DELAY_MS}ms limit 50", [frame(n) for n in range(80)])
    assert run.numbers == [*range(50)]
    assert run.dropped == 30
    assert run.refused == (30 if link.name == "netem" else 0)


def test_only_on_the_wire_the_sender_sees_what_is_lost(link: KernelLink) -> None:
    run, heard = witnessed(link, "loss 50%", [frame(number) for number in range(80)])
    assert 0 < len(run.numbers) < 80
    seen = [arrival.number for arrival in heard]
    assert seen == (run.numbers if link.name == "netem" else [*range(80)])


def test_only_on_the_wire_the_sender_sees_packets_before_their_delay(link: KernelLink) -> None:
    run, heard = witnessed(link, f"delay {DELAY_MS}ms", [frame(n) for n in range(80)], awaited=80)
    assert [arrival.number for arrival in heard] == run.numbers
    after_their_delay = {arrival.delay_ns >= DELAY_MS * MS for arrival in heard}
    assert after_their_delay == {link.name == "netem"}
