"""Where each packet came from and how far it got: hops become journeys; pure."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from labctl.observe.ladder_hops import Hop
from labctl.observe.sighting import Sighting
from labctl.packets.identity import on_link, on_path


class Journey(NamedTuple):
    """A packet's way from the node that made it to the last one that saw it."""

    hops: tuple[Hop, ...]

    @property
    def first(self) -> int:
        """The number of its first sighting."""
        hop = self.hops[0]
        number = hop.sent if hop.sent is not None else hop.arrived
        assert number is not None
        return number

    @property
    def arrived(self) -> int | None:
        """The number of its last sighting, or ``None`` where it was lost on the way."""
        return self.hops[-1].arrived

    @property
    def is_again(self) -> bool:
        """Whether it, or what it was forwarded from, had arrived before."""
        return any(hop.is_again for hop in self.hops)

    @property
    def is_corrupted(self) -> bool:
        """Whether it was changed on the way."""
        return any(hop.is_corrupted for hop in self.hops)


def find_journeys(sightings: Sequence[Sighting], hops: Sequence[Hop]) -> list[Journey]:
    """Join hops where a node forwards; in the order in which the packets were first seen.

    ``hops`` are in the order of ``labctl.observe.ladder_hops``.
    """
    before = _forwarded_from(sightings, hops)
    has_followers = set(before.values())
    journeys = []
    for number in range(len(hops)):
        if number in has_followers:
            continue
        way = [number]
        while way[-1] in before:
            way.append(before[way[-1]])
        journeys.append(Journey(tuple(hops[each] for each in reversed(way))))
    journeys.sort(key=lambda journey: (journey.first, journey.hops[-1].arrived or 0))
    return _without_flooding(sightings, journeys)


def _forwarded_from(sightings: Sequence[Sighting], hops: Sequence[Hop]) -> dict[int, int]:
    """Return for each hop that carries on another one the number of that one."""
    arrivals: dict[tuple[str, bytes], list[tuple[int, int]]] = {}
    for number, hop in enumerate(hops):
        if hop.arrived is not None:
            at_node = arrivals.setdefault(_at_node(sightings[hop.arrived]), [])
            at_node.append((hop.arrived, number))
    for at_node in arrivals.values():
        at_node.sort()
    before: dict[int, int] = {}
    for number, hop in enumerate(hops):
        if hop.sent is None:
            continue
        at_node = arrivals.get(_at_node(sightings[hop.sent]), [])
        earlier = bisect_left(at_node, (hop.sent, 0))
        if earlier:
            before[number] = at_node[earlier - 1][1]
    return before


def _at_node(sighting: Sighting) -> tuple[str, bytes]:
    # A bridge forwards what is not IP too.
    return sighting.node, on_path(sighting.frame) or on_link(sighting.frame)


def _without_flooding(sightings: Sequence[Sighting], journeys: list[Journey]) -> list[Journey]:
    """Leave out what a switch sent to others as well, because it did not know better."""
    owners = {sightings[each.first].frame[6:12]: sightings[each.first].node for each in journeys}
    kept: dict[int, list[Journey]] = {}
    for journey in journeys:
        kept.setdefault(journey.first, []).append(journey)
    result = []
    for same in kept.values():
        meant = [each for each in same if _reaches_owner(sightings, each, owners)]
        result += meant or same
    return result


def _reaches_owner(
    sightings: Sequence[Sighting], journey: Journey, owners: dict[bytes, str]
) -> bool:
    last = journey.arrived
    return last is not None and owners.get(sightings[last].frame[:6]) == sightings[last].node
