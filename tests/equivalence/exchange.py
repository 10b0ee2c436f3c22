"""What every link under test can do: be made bad, and carry frames; and when a run is worth nothing."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import pytest

from tests.equivalence.frames import Arrival

MS = 1_000_000
ATTEMPTS = 20


class Pace(NamedTuple):
    """How fast frames are sent: a few at once, and again after a while."""

    at_once: int = 32
    every_ns: int = MS


class Lateness(NamedTuple):
    """How late the machine was during a run, as told by control frames that took a known time.

    Whatever holds a frame up by more than the time between two of them holds one of them up too.
    """

    controls: Sequence[tuple[int, int]]
    """When each was sent, and when it arrived."""
    control_ns: int
    every_ns: int
    """The time between two of them."""
    sending_ns: Sequence[int]
    """How long it took to send each of the frames that are tested."""

    @property
    def most_ns(self) -> int:
        """By how much any frame was late at most: on its way in, and again on its way out."""
        if not self.controls:
            return 0
        latest = max(arrived - sent for sent, arrived in self.controls) - self.control_ns
        return 2 * (max(latest, 0) + self.every_ns) + max(self.sending_ns)

    def granted_ns(self, grace_ns: int) -> int:
        """By how much those frames were late at most that are not ``spoilt``."""
        return 2 * (grace_ns + self.every_ns) if self.controls else 0

    def spoilt(self, arrivals: Sequence[Arrival], grace_ns: int) -> int:
        """Return how many frames were under way when a control frame was late by more than that."""
        held = [
            window
            for sent, arrived in self.controls
            if arrived - sent - self.control_ns > grace_ns
            for window in (
                (sent - self.every_ns, arrived - self.control_ns + self.every_ns),
                (sent + self.control_ns - self.every_ns, arrived + self.every_ns),
            )
        ]
        slow = sum(sending_ns > self.every_ns for sending_ns in self.sending_ns)
        return slow + sum(
            any(
                begin <= moment <= end
                for begin, end in held
                for moment in (arrival.sent_ns, arrival.arrived_ns)
            )
            for arrival in arrivals
        )


ON_TIME = Lateness((), 0, 0, (0,))
"""A machine that has all the time there is."""


class Run(NamedTuple):
    """What became of frames that were sent."""

    sent_ns: Sequence[int]
    """When each frame was sent; their numbers are those of this list."""
    arrivals: Sequence[Arrival]
    """In the order in which they arrived."""
    dropped: int
    """Lost, or too many, as the link itself counts."""
    refused: int
    """Of these, how many the sender was told of (``ENOBUFS``)."""
    lateness: Lateness = ON_TIME
    flaw: str = ""
    """Why this run says nothing about the link."""

    @property
    def sent(self) -> int:
        """How many frames were sent."""
        return len(self.sent_ns)

    @property
    def lost(self) -> list[bool]:
        """Whether each frame was lost, in the order in which they were sent."""
        arrived = {arrival.number for arrival in self.arrivals}
        return [number not in arrived for number in range(self.sent)]

    @property
    def late_ns(self) -> int:
        """By how much the machine made a frame late at most."""
        return self.lateness.most_ns

    @property
    def delays_ns(self) -> list[int]:
        """The delay of each frame, in the order in which they arrived."""
        return [arrival.delay_ns for arrival in self.arrivals]

    @property
    def times_ns(self) -> list[int]:
        """When each frame arrived, since the first of all was sent, in that order."""
        return [arrival.arrived_ns - self.sent_ns[0] for arrival in self.arrivals]

    @property
    def sending_ns(self) -> int:
        """How long it took to send them."""
        return self.sent_ns[-1] - self.sent_ns[0]

    @property
    def numbers(self) -> list[int]:
        """Their numbers, in the order in which they arrived."""
        return [arrival.number for arrival in self.arrivals]


class LinkUnderTest(Protocol):
    """One direction of a link."""

    name: str

    def renew(self, words: str) -> None:
        """Make the link as bad as that, with no memory of what passed before."""

    def change(self, words: str) -> None:
        """Make it as bad as that while it goes on."""

    def carry(
        self, frames: Sequence[bytes], pace: Pace, *, awaited: int | None, control_ns: int
    ) -> Run:
        """Send frames, and wait until all have arrived that will.

        So many are ``awaited``; ``None`` asks the link's own counters. ``control_ns`` is the delay of
        the frames that tell how late the machine is, which go the other way; 0 for none.
        """


def late_at_most(late_ms: float) -> Callable[[Run], str]:
    """Accept runs in which no frame was later than that."""

    def flaw(run: Run) -> str:
        late = run.late_ns / MS
        return f"frames up to {late:.1f} ms late, of {late_ms}" if late > late_ms else ""

    return flaw


def sent_together(late_ms: float) -> Callable[[Run], str]:
    """Accept runs in which all frames were sent within that time, and none was later than that."""
    in_time = late_at_most(late_ms)

    def flaw(run: Run) -> str:
        sending = run.sending_ns / MS
        if sending > late_ms:
            return f"sending took {sending:.1f} ms, of {late_ms}"
        return in_time(run)

    return flaw


def few_spoilt(grace_ms: float, share: float) -> Callable[[Run], str]:
    """Accept runs in which only a small share of the frames was later than that."""

    def flaw(run: Run) -> str:
        spoilt = run.lateness.spoilt(run.arrivals, int(grace_ms * MS)) / len(run.arrivals)
        return (
            f"{spoilt:.1%} more than {grace_ms} ms late, of {share:.1%}" if spoilt > share else ""
        )

    return flaw


def carried(
    link: LinkUnderTest,
    words: str,
    frames: Sequence[bytes],
    *,
    pace: Pace = Pace(),  # noqa: B008  # a tuple
    awaited: int | None = None,
    control_ns: int = 0,
    flaw: Callable[[Run], str] = lambda run: "",
    first: Callable[[], object] = lambda: None,
) -> Run:
    """Return a run on a fresh link that says something about it; ``first`` may do more to the link.

    ``flaw`` says why one does not. It goes by what does not depend on the link's choices, or the
    errors of the bounds would grow. Where no run counts the machine is too busy, and the test has no
    answer.
    """
    flaws = []
    for _ in range(ATTEMPTS):
        link.renew(words)
        first()
        run = link.carry(frames, pace, awaited=awaited, control_ns=control_ns)
        found = run.flaw or flaw(run)
        if not found:
            return run
        flaws.append(found)
    pytest.fail(f"broken input, this machine is too busy to tell: {'; '.join(flaws)}")
