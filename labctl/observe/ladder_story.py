"""What there is to tell of each packet: journeys become the rows of a ladder; pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from labctl.observe.ladder_fates import FateEntry
from labctl.observe.ladder_hops import Hop, Place, overtaken
from labctl.observe.ladder_journeys import Journey
from labctl.observe.ladder_rows import End, Row
from labctl.observe.ladder_targets import Targets
from labctl.observe.ladder_words import Speaker, Words, conversation_of, is_housekeeping
from labctl.observe.sighting import Sighting
from labctl.packets.parse import Packet, parse_frame
from labctl.topology.words import listed

_MOST_COLUMNS = 5
_MOST_IN_LEGEND = 8
_MOST_OPEN = 3
_SLOW_NS = 5_000_000
"""From here on a packet's sending and its arrival are two times for a reader."""

_UNITS = {"TCP": "segment", "UDP": "datagram"}


class Story:
    """Puts journeys into rows."""

    def __init__(
        self,
        sightings: Sequence[Sighting],
        hops: Sequence[Hop],
        journeys: Sequence[Journey],
        decided: Mapping[int, FateEntry],
        targets: Targets,
    ) -> None:
        """``decided`` has the decisions of rules, by the number of the sending."""
        self._seen = sightings
        self._late = overtaken(sightings, hops)
        self._decided = decided
        self._targets = targets
        packets = {each.first: parse_frame(sightings[each.first].frame) for each in journeys}
        self._journeys = [each for each in journeys if not is_housekeeping(packets[each.first])]
        if not self._journeys:
            self._journeys = list(journeys)
        self._packets = {each.first: packets[each.first] for each in self._journeys}
        speaker = Speaker()
        self._words = {first: speaker.words(packet) for first, packet in self._packets.items()}
        self._ways = [self._way(journey) for journey in self._journeys]
        self._conversations = self._number_conversations()
        self._slowest = _slowest(sightings, hops)

    def tell(self, nodes: Sequence[str]) -> tuple[list[Row], list[str], list[str]]:
        """Return the rows in the order of time, the columns, and the nodes that have none.

        ``nodes`` is the order of the columns.
        """
        columns, others = self._columns(nodes)
        ordered: list[tuple[int, Row]] = []
        prompt_until: dict[str, int] = {}
        for journey, way in zip(self._journeys, self._ways, strict=True):
            told_at = self._told_at(journey)
            if journey.arrived is None:
                # Behind what was sent before it, though that took some microseconds to arrive.
                place = max(told_at, prompt_until.get(way[0], 0))
            else:
                place = told_at
                if not self._lateness(journey):
                    prompt_until[way[0]] = max(told_at, prompt_until.get(way[0], 0))
            ordered += [(place, row) for row in self._rows(journey, way, columns)]
        ordered.sort(key=lambda each: each[0])
        rows = [row for _, row in ordered]
        if rows:
            rows += self._unanswered(rows[-1].time_ns)
        return rows, columns, others

    def legend(self) -> list[str]:
        """Return a line for each conversation; none where there is only one."""
        lines = list(self._conversations.values())
        if len(lines) > _MOST_IN_LEGEND:
            lines[_MOST_IN_LEGEND - 1 :] = [f"  … and {len(lines) - _MOST_IN_LEGEND + 1} more"]
        return lines if len(lines) > 1 else []

    def _number_conversations(self) -> dict[tuple[str, ...], str]:
        found: dict[tuple[str, ...], str] = {}
        for journey, way in zip(self._journeys, self._ways, strict=True):
            packet = self._packets[journey.first]
            key = conversation_of(packet)
            if key and key not in found:
                ends = f"{way[0]} {packet.source} → {way[-1]} {packet.target}".replace("  ", " ")
                found[key] = f"  [{len(found) + 1}] {packet.protocol.lower()} {ends}"
        return found

    def _way(self, journey: Journey) -> list[str]:
        """Return the nodes on the way of a packet; empty names for those that nobody knows."""
        first = self._seen[journey.first]
        if not first.is_outgoing and first.interface == "lo":
            return [first.node, first.node]
        way = [first.node if first.is_outgoing else ""]
        for hop in journey.hops:
            if hop.arrived is not None:
                way.append(self._seen[hop.arrived].node)
            elif hop.sent is not None:
                way.append(self._targets.of(self._seen[hop.sent]))
        return way

    def _columns(self, nodes: Sequence[str]) -> tuple[list[str], list[str]]:
        ends = Counter(end for way in self._ways for end in (way[0], way[-1]) if end)
        between = Counter(node for way in self._ways for node in way[1:-1] if node)
        chosen = [node for node, _ in ends.most_common(_MOST_COLUMNS)]
        more = [node for node, _ in between.most_common() if node not in ends]
        chosen += more[: _MOST_COLUMNS - len(chosen)]
        order = {node: number for number, node in enumerate(nodes)}

        def place(node: str) -> tuple[int, str]:
            return order.get(node, len(order)), node

        return sorted(chosen, key=place), sorted(set(ends) - set(chosen), key=place)

    def _rows(self, journey: Journey, way: list[str], columns: Sequence[str]) -> list[Row]:
        if any(end and end not in columns for end in (way[0], way[-1])):
            return []
        words = self._words[journey.first]
        packet = self._packets[journey.first]
        end = self._end(journey)
        note = self._note(journey, words, end)
        behind = [node for node in way[:-1] if node in columns]
        row = Row(
            self._since_start(self._told_at(journey)),
            way[0],
            way[-1],
            self._label(packet, words),
            note,
            end,
            stopped_behind=behind[-1] if end != "arrived" and behind else "",
            unit=_UNITS.get(packet.protocol, "packet"),
            data_bytes=len(packet.payload),
            is_plain=not note and (words.is_data or words.label.startswith("ACK")),
        )
        visible = [node for node in way if not node or node in columns]
        if len(visible) == 2 or _is_straight(visible, columns):
            return [row]
        # Its way turns back in the picture, so each hop is an arrow of its own.
        steps = [
            row._replace(source=one, target=other, note="", end="arrived", stopped_behind="")
            for one, other in pairwise(visible)
        ]
        steps[-1] = row._replace(source=visible[-2])
        return steps

    def _label(self, packet: Packet, words: Words) -> str:
        if len(self._conversations) < 2:
            return words.label
        number = list(self._conversations).index(key) + 1 if (key := conversation_of(packet)) else 0
        return f"[{number}] {words.label}" if number else words.label

    def _told_at(self, journey: Journey) -> int:
        """Return when its arrow is drawn: when it arrives, or else when it was sent."""
        return journey.first if journey.arrived is None else journey.arrived

    def _since_start(self, number: int) -> int:
        return self._seen[number].time_ns - self._seen[self._journeys[0].first].time_ns

    def _decision(self, journey: Journey) -> FateEntry | None:
        for hop in reversed(journey.hops):
            if hop.sent is not None and hop.sent in self._decided:
                return self._decided[hop.sent]
        return None

    def _end(self, journey: Journey) -> End:
        if journey.arrived is not None:
            return "arrived"
        decision = self._decision(journey)
        if decision is not None:
            return "lost" if decision.done in ("dropped", "corrupted") else "waiting"
        last = journey.hops[-1].sent
        assert last is not None
        sent = self._seen[last]
        # Where others were on their way for longer than that, this one may still be.
        under_way_ns = self._seen[-1].time_ns - sent.time_ns
        slowest_ns = self._slowest.get((sent.node, sent.interface), 0)
        return "waiting" if slowest_ns > max(under_way_ns, _SLOW_NS) else "lost"

    def _note(self, journey: Journey, words: Words, end: End) -> str:
        """Return what happened to it, and which rule did that."""
        decision = self._decision(journey)
        done = decision.done if decision else ""
        what = cause = ""
        if end == "lost":
            what, cause = "lost", done
        elif end == "waiting":
            what, cause = "not arrived yet", done
        elif journey.is_again:
            what, cause = "again", "duplicated" if done == "duplicated" else ""
        elif journey.is_corrupted or done == "corrupted":
            what, cause = "corrupted", done
        else:
            what = self._lateness(journey)
            cause = done if done in ("delayed", "held", "kept") else ""
        if decision and cause:
            by = f"{decision.text.partition(':')[0]} (rule {decision.rule})"
            what = f"{what}: {by}" if what else by
        return ", ".join(part for part in (words.note, what) if part)

    def _lateness(self, journey: Journey) -> str:
        assert journey.arrived is not None
        is_late = any(hop.arrived in self._late for hop in journey.hops)
        took_ns = self._seen[journey.arrived].time_ns - self._seen[journey.first].time_ns
        if not is_late and took_ns < _SLOW_NS:
            return ""
        sent = f"sent {self._since_start(journey.first) / 1_000_000_000:.3f}"
        where = self._slow_place(journey) if len(journey.hops) > 1 and took_ns >= _SLOW_NS else ""
        return ", ".join(part for part in ("out of order" if is_late else "", sent, where) if part)

    def _slow_place(self, journey: Journey) -> str:
        """Return which part of the way took the longest."""
        numbers = [each for hop in journey.hops for each in hop[:2] if each is not None]
        took = [
            (self._seen[after].time_ns - self._seen[before].time_ns, before, after)
            for before, after in pairwise(numbers)
        ]
        _, before, after = max(took)
        one, other = self._seen[before].node, self._seen[after].node
        return f"slow in {one}" if one == other else f"slow to {other}"

    def _unanswered(self, time_ns: int) -> list[Row]:
        """Return a row about the conversations whose last word was a question, if there are any."""
        first_speaker: dict[tuple[str, ...], str] = {}
        is_open: dict[tuple[str, ...], bool] = {}
        asked: dict[tuple[str, str], set[tuple[str, ...]]] = {}
        for journey in self._journeys:
            packet, words = self._packets[journey.first], self._words[journey.first]
            key = conversation_of(packet)
            if not key:
                if words.is_end:
                    is_open.clear()
                continue
            asker = first_speaker.setdefault(key, packet.source)
            if words.is_end:
                is_open[key] = False
            elif words.is_data:
                is_open[key] = packet.source == asker and journey.arrived is not None
                if packet.protocol == "UDP":
                    if packet.source == asker:
                        asked.setdefault((asker, _host(packet.target)), set()).add(key)
                    # TFTP and others answer from a port of their own (RFC 1350, section 4).
                    for question in asked.get((packet.target, _host(packet.source)), ()):
                        is_open[question] = False
        open_ones = [
            f"[{number}]"
            for number, key in enumerate(self._conversations, start=1)
            if is_open.get(key)
        ]
        if not open_ones:
            return []
        what = f" to {listed(open_ones, most=_MOST_OPEN)}" if len(self._conversations) > 1 else ""
        return [Row(time_ns, "", "", "", f"(no reply{what})")]


def _host(endpoint: str) -> str:
    return endpoint.rpartition(":")[0]


def _is_straight(way: Sequence[str], columns: Sequence[str]) -> bool:
    """Whether the columns of a way follow each other in one direction."""
    at = [columns.index(node) for node in way if node]
    return all(a < b for a, b in pairwise(at)) or all(a > b for a, b in pairwise(at))


def _slowest(sightings: Sequence[Sighting], hops: Sequence[Hop]) -> dict[Place, int]:
    """Return the longest time that a frame took from each place."""
    found: dict[Place, int] = {}
    for hop in hops:
        if hop.sent is not None and hop.arrived is not None:
            sent = sightings[hop.sent]
            place = (sent.node, sent.interface)
            took_ns = sightings[hop.arrived].time_ns - sent.time_ns
            found[place] = max(found.get(place, 0), took_ns)
    return found
