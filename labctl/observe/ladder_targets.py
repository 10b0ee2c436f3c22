"""Where a frame that did not arrive was going: what others like it tell; pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from labctl.observe.ladder_fates import FateEntry, target_of
from labctl.observe.ladder_hops import Hop, Place
from labctl.observe.sighting import Sighting


class Targets:
    """The node at the other end, for each interface and each address that it sent to."""

    def __init__(
        self,
        sightings: Sequence[Sighting],
        hops: Iterable[Hop],
        fates: Iterable[FateEntry],
        ends: Mapping[Place, Place],
    ) -> None:
        """``ends`` leads from one end of a link to the other, where that is known."""
        self._ends = {f"{node}:{interface}": other[0] for (node, interface), other in ends.items()}
        for place, other in target_of(fates).items():
            self._ends.setdefault(place, other.partition(":")[0])
        self._reached: dict[tuple[str, bytes], Counter[str]] = {}
        self._owners: dict[bytes, str] = {}
        for sighting in sightings:
            if sighting.is_outgoing:
                # A switch sends in the name of others, but the others did so before.
                self._owners.setdefault(sighting.frame[6:12], sighting.node)
        for hop in hops:
            if hop.sent is not None and hop.arrived is not None:
                place, to = sightings[hop.sent].place, sightings[hop.sent].frame[:6]
                for key in ((place, to), (place, b"")):
                    self._reached.setdefault(key, Counter())[sightings[hop.arrived].node] += 1

    def of(self, sent: Sighting) -> str:
        """Return the node where a frame would have arrived; empty where nothing tells."""
        if sent.place in self._ends:
            return self._ends[sent.place]
        for key in ((sent.place, sent.frame[:6]), (sent.place, b"")):
            if key in self._reached:
                return self._reached[key].most_common(1)[0][0]
        owner = self._owners.get(sent.frame[:6], "")
        return "" if owner == sent.node else owner
