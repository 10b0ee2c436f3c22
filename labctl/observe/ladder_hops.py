"""Which arrival belongs to which sending: sightings become hops, one for each frame on a link; pure."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from labctl.observe.sighting import Sighting
from labctl.packets.identity import on_link

Place = tuple[str, str]
"""A node and its interface."""

_MOST_IN_FLIGHT = 100
"""How many frames of the same bytes are looked through for the one that arrived."""

_MOST_BITS_CORRUPTED = 8
_MOST_CORRUPTED = 200
"""Arrivals that nobody sent which are compared with what was sent."""


class Hop(NamedTuple):
    """One frame on one link, by the numbers of its sightings."""

    sent: int | None
    """``None`` where no node was seen sending it."""
    arrived: int | None
    """``None`` where no node was seen receiving it."""
    is_again: bool = False
    """The same frame had arrived there before."""
    is_corrupted: bool = False
    """It arrived changed."""


def find_hops(sightings: Sequence[Sighting], ends: Mapping[Place, Place]) -> list[Hop]:
    """Return a hop for each frame on each link; ``sightings`` are in the order of time.

    ``ends`` leads from one end of a link to the other, where that is known. A frame that reached
    several nodes is several hops.
    """
    groups: dict[bytes, list[int]] = {}
    for number, sighting in enumerate(sightings):
        groups.setdefault(on_link(sighting.frame), []).append(number)
    search = _Search(sightings, ends)
    # What was sent once and arrived once says how long the way is.
    for is_clear in (True, False):
        for group in groups.values():
            if (len(group) <= 2) is is_clear:
                search.pair(group)
    search.find_corrupted()
    return search.hops()


def overtaken(sightings: Sequence[Sighting], hops: Iterable[Hop]) -> set[int]:
    """Return the arrivals before which something came that was sent later on the same way."""
    ways: dict[tuple[str, str, str, str], list[tuple[int, int]]] = {}
    for hop in hops:
        if hop.sent is not None and hop.arrived is not None and not hop.is_again:
            sent, arrived = sightings[hop.sent], sightings[hop.arrived]
            way = (sent.node, sent.interface, arrived.node, arrived.interface)
            ways.setdefault(way, []).append((hop.sent, hop.arrived))
    found = set()
    for pairs in ways.values():
        earliest = len(sightings)
        for _, arrived_at in sorted(pairs, reverse=True):
            if earliest < arrived_at:
                found.add(arrived_at)
            earliest = min(earliest, arrived_at)
    return found


class _Search:
    def __init__(self, sightings: Sequence[Sighting], ends: Mapping[Place, Place]) -> None:
        self._sightings = sightings
        self._ends = ends
        self._transits: dict[tuple[Place, Place], list[int]] = {}
        self._usual: dict[tuple[Place, ...], int] = {}
        self._found: list[Hop] = []
        self._unsent: list[int] = []
        self._lost: list[int] = []

    def hops(self) -> list[Hop]:
        every = [
            *self._found,
            *(Hop(sent, None) for sent in self._lost),
            *(Hop(None, arrived) for arrived in self._unsent),
        ]
        return sorted(every, key=_order)

    def pair(self, group: Sequence[int]) -> None:
        """Pair the sightings of one frame, or of several that cannot be told apart."""
        sends = [number for number in group if self._sightings[number].is_outgoing]
        arrivals = [number for number in group if not self._sightings[number].is_outgoing]
        is_fifo = len(sends) <= len(arrivals)
        free = set(sends)
        reached: dict[int, list[Place]] = {}
        for arrived in arrivals:
            here = self._place(arrived)
            until = bisect_left(sends, arrived)
            recent = sends[max(0, until - _MOST_IN_FLIGHT) : until]
            able = [sent for sent in recent if self._leads(sent, here)]
            unmatched = [sent for sent in able if sent in free]
            if unmatched:
                sent = unmatched[0] if is_fifo else self._likeliest(unmatched, arrived)
                free.remove(sent)
            elif elsewhere := [sent for sent in able if here not in reached[sent]]:
                sent = elsewhere[-1]
                if here[0] in {node for node, _ in reached[sent]}:
                    continue  # a copy for the node itself: a bridge hands it to its own device
            elif able:
                self._found.append(Hop(able[-1], arrived, is_again=True))
                continue
            else:
                self._unsent.append(arrived)
                continue
            reached.setdefault(sent, []).append(here)
            self._found.append(Hop(sent, arrived))
            if len(group) == 2:
                ends = (self._place(sent), here)
                self._transits.setdefault(ends, []).append(self._ns_between(sent, arrived))
        went_on = {self._place(sent) for sent in reached}
        self._lost += [sent for sent in sorted(free) if not self._is_stacked(sent, went_on)]

    def find_corrupted(self) -> None:
        """Pair arrivals that nobody sent with what was sent and looks almost alike."""
        for arrived in self._unsent[:_MOST_CORRUPTED]:  # a copy: the list changes
            here = self._place(arrived)
            near = [
                sent
                for sent in self._lost[-_MOST_CORRUPTED:]
                if sent < arrived and self._leads(sent, here) and self._is_like(sent, arrived)
            ]
            if near:
                self._lost.remove(near[-1])
                self._unsent.remove(arrived)
                self._found.append(Hop(near[-1], arrived, is_corrupted=True))

    def _leads(self, sent: int, here: Place) -> bool:
        there = self._place(sent)
        if there in self._ends:
            return self._ends[there] == here
        return there[0] != here[0]

    def _likeliest(self, sends: Sequence[int], arrived: int) -> int:
        def strangeness(sent: int) -> int:
            usual_ns = self._usual_ns(self._place(sent), self._place(arrived))
            return abs(self._ns_between(sent, arrived) - usual_ns)

        return min(sends, key=strangeness)

    def _usual_ns(self, *way: Place) -> int:
        """Return how long frames take there; nothing where that is not known."""
        if way not in self._usual:
            known = sorted(self._transits.get((way[0], way[1]), (0,)))
            self._usual[way] = known[len(known) // 2]
        return self._usual[way]

    def _is_stacked(self, sent: int, went_on: Collection[Place]) -> bool:
        """Whether a device of the same node, below this one, sent the same again."""
        node, interface = self._place(sent)
        return any(other[0] == node and other[1] != interface for other in went_on)

    def _is_like(self, sent: int, arrived: int) -> bool:
        one, other = (self._sightings[number].frame for number in (sent, arrived))
        if len(one) != len(other):
            return False
        different = int.from_bytes(on_link(one), "big") ^ int.from_bytes(on_link(other), "big")
        return different.bit_count() <= _MOST_BITS_CORRUPTED

    def _ns_between(self, sent: int, arrived: int) -> int:
        return self._sightings[arrived].time_ns - self._sightings[sent].time_ns

    def _place(self, number: int) -> Place:
        return self._sightings[number].node, self._sightings[number].interface


def _order(hop: Hop) -> tuple[int, int]:
    first = hop.sent if hop.sent is not None else hop.arrived
    assert first is not None
    return first, -1 if hop.arrived is None else hop.arrived
