"""Which rule did what to which packet: entries of the fate log find the frames they are about; pure."""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from labctl.observe.ladder_hops import Hop, overtaken
from labctl.observe.sighting import Sighting
from labctl.packets.summary import summary

_DECISIONS = ("dropped", "duplicated", "corrupted", "delayed", "held", "kept")
"""What else the log has are the ends of these."""

_NS_PER_S = 1_000_000_000

_MOST = 1000
"""How many frames that look alike are looked through for the one that a decision is about."""

_AFTER_NS = 2_000_000
"""The log has microseconds, of a clock that is read apart from the one for captures."""

_DECIDED_WITHIN_NS = 100_000_000

_LATE_NS = 1_000_000
"""What arrives sooner after the decision was not kept back."""


class FateEntry(Protocol):
    """What is needed of ``labctl.wire.fates.FateEntry``."""

    @property
    def time_s(self) -> float: ...
    @property
    def direction(self) -> str: ...
    @property
    def rule(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def done(self) -> str: ...
    @property
    def packet(self) -> str: ...


def find_fates(
    sightings: Sequence[Sighting], hops: Iterable[Hop], fates: Iterable[FateEntry]
) -> dict[int, FateEntry]:
    """Return the decision about each frame that a rule decided, by the number of its sending."""
    ways: dict[int, list[Hop]] = {}
    every = list(hops)
    for hop in every:
        if hop.sent is not None:
            ways.setdefault(hop.sent, []).append(hop)
    late = overtaken(sightings, every)
    decisions = sorted(
        (fate for fate in fates if fate.done in _DECISIONS), key=lambda fate: fate.time_s
    )
    sources = {_source(fate) for fate in decisions}
    sends: dict[tuple[str, str], list[int]] = {}
    for number in sorted(ways):
        place = sightings[number].place
        if place in sources:
            sends.setdefault((place, summary(sightings[number].frame)), []).append(number)
    found: dict[int, FateEntry] = {}
    for fate in decisions:
        time_ns = int(fate.time_s * _NS_PER_S)
        like_it = sends.get((_source(fate), fate.packet), [])
        until = bisect_right(
            like_it, time_ns + _AFTER_NS, key=lambda number: sightings[number].time_ns
        )
        able = [number for number in like_it[max(0, until - _MOST) : until] if number not in found]
        if not able:
            continue
        shown = [
            number for number in able if _fits(fate.done, time_ns, sightings, ways[number], late)
        ]
        # Decisions are made in the order of sending, and soon after it.
        recent = [
            number for number in shown if sightings[number].time_ns > time_ns - _DECIDED_WITHIN_NS
        ]
        found[recent[0] if recent else (shown or able)[-1]] = fate
    return found


def target_of(fates: Iterable[FateEntry]) -> Mapping[str, str]:
    """Return where the directions of the log lead: from each end, as ``client1:eth0``, to the other."""
    return {_source(fate): fate.direction.partition("->")[2] for fate in fates}


def _source(fate: FateEntry) -> str:
    return fate.direction.partition("->")[0]


def _fits(
    done: str,
    time_ns: int,
    sightings: Sequence[Sighting],
    ways: Sequence[Hop],
    late: Collection[int],
) -> bool:
    """Whether what was seen of a frame is what such a decision does."""
    is_lost = all(hop.arrived is None for hop in ways)
    match done:
        case "dropped":
            return is_lost
        case "duplicated":
            return len(ways) > 1
        case "corrupted":
            return is_lost or any(hop.is_corrupted for hop in ways)
        case _:
            return is_lost or any(
                hop.arrived in late or sightings[hop.arrived].time_ns > time_ns + _LATE_NS
                for hop in ways
                if hop.arrived is not None
            )
