"""Rules at work in one direction of a link: frames in, frames out, time passed in (sans I/O).

Every rule counts every frame its filter matches, from 1, since it was armed; the first rule that
fires decides. So another rule never changes the numbers of this one. Nor does it change its
dice: they are a hash of the seed, the rule's own text and the number, not a stream.

A frame *passes* when it leaves here: at once, or after a delay. What waits for a frame (the
other half of a ``swap``, the ``until`` of a ``hold``) waits for one that passes, and goes on
right after it. A swap pairs two frames: the one that completes a pair does not start another.
Where none follows, the swap's frame goes on alone after its timeout, or at ``flush``; that swap
was not completed.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple, assert_never

from labctl.topology.rules import Rule, duration_text
from labctl.topology.words import quoted
from labctl.wire.dice import dice, key_of

MOST_KEPT = 10_000
"""Frames that may wait in one direction; one more is dropped, and the log says why."""

Done = Literal[
    "dropped", "duplicated", "corrupted", "delayed", "held", "kept", "swapped", "released"
]

Matches = Callable[[bytes], bool]

_ETHERNET_BYTES = 14
_IPV6_BYTES = 40


class Fate(NamedTuple):
    """One decision: what was done to which frame, and why."""

    time_ns: int
    rule: int
    """Which rule decided, from 1."""
    text: str
    """That rule."""
    nth: int
    """The number of the frame, as that rule counts."""
    done: Done
    detail: str
    frame: bytes
    """As it was offered."""


class Count(NamedTuple):
    """What became of one rule."""

    text: str
    matched: int
    """Frames that its filter matched."""
    fired: int
    """Frames whose fate it decided."""
    completed: int
    """Of these, the faults that were carried out to the end: swapped, and not only kept."""


class _Kept(NamedTuple):
    """A frame that waits."""

    sequence: int
    armed: "_Armed"
    nth: int
    frame: bytes


class _Armed:
    """A rule and its counts."""

    def __init__(self, rule: Rule, number: int, key: int, match: int, trigger: Matches) -> None:
        self.rule = rule
        self.text = str(rule)
        self.number = number
        self.key = key
        self.match = match
        self.trigger = trigger
        self.matched = 0
        self.fired = 0
        self.completed = 0
        self.waiting: list[_Kept] = []
        """What waits for a frame that ``trigger`` matches."""

    def fires(self) -> bool:
        """Whether the frame that was counted last is one this rule is for."""
        rule, count = self.rule, self.matched
        if rule.packets and not any(first <= count <= last for first, last in rule.packets):
            return False
        if count % rule.every or (rule.kind == "swap" and self.waiting):
            return False
        return rule.probability >= 1 or dice(self.key, count) < rule.probability


class RuleSet:
    """The rules of one direction, armed."""

    def __init__(
        self,
        rules: Iterable[Rule],
        filters: Mapping[str, Matches],
        *,
        seed: int,
        direction: str,
        log: Callable[[Fate], object],
    ) -> None:
        """``filters`` has a function for each filter text of the rules.

        ``direction`` is the name of this direction: two of them have different dice.
        """
        self._log = log
        self._armed: list[_Armed] = []
        self._kept: dict[int, _Kept] = {}
        self._deadlines: list[tuple[int, int]] = []
        self._sequence = 0
        texts: list[str] = []
        seen: dict[str, int] = {}
        for number, rule in enumerate(rules, start=1):
            if rule.match not in texts:
                texts.append(rule.match)
            text = str(rule)
            twin = seen[text] = seen.get(text, 0) + 1
            self._armed.append(
                _Armed(
                    rule,
                    number,
                    key_of(seed, f"{direction} {text} {twin}"),
                    texts.index(rule.match),
                    filters[rule.until or rule.match],
                )
            )
        self._filters = [filters[text] for text in texts]

    @property
    def counts(self) -> list[Count]:
        """What became of each rule, in their order."""
        return [
            Count(armed.text, armed.matched, armed.fired, armed.completed) for armed in self._armed
        ]

    def offer(self, frame: bytes, now_ns: int) -> list[bytes]:
        """Take a frame; return what goes on now, in this order, what was due before it included."""
        passed = self.due(now_ns)
        verdicts = [matches(frame) for matches in self._filters]
        decider: _Armed | None = None
        for armed in self._armed:
            if verdicts[armed.match]:
                armed.matched += 1
                if decider is None and armed.fires():
                    decider = armed
        if decider is None:
            self._pass(frame, now_ns, passed)
        else:
            decider.fired += 1
            self._carry_out(decider, frame, now_ns, passed)
        return passed

    def due(self, now_ns: int) -> list[bytes]:
        """Return the frames whose time has come, in the order of their times."""
        passed: list[bytes] = []
        while (deadline := self.next_ns()) is not None and deadline <= now_ns:
            kept = self._kept.pop(heapq.heappop(self._deadlines)[1])
            armed = kept.armed
            if kept in armed.waiting:
                armed.waiting.remove(kept)
            span = duration_text(armed.rule.by_ns or armed.rule.timeout_ns)
            if armed.rule.kind == "swap":
                self._record(kept, "released", f"nothing followed within {span}", now_ns)
            else:
                armed.completed += 1
                self._record(kept, "released", f"after {span}", now_ns)
            self._pass(kept.frame, now_ns, passed)
        return passed

    def next_ns(self) -> int | None:
        """Return when to call ``due`` again, or None where nothing waits for a time."""
        while self._deadlines and self._deadlines[0][1] not in self._kept:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def flush(self, now_ns: int) -> list[bytes]:
        """Let go of every frame that waits, in the order they came: the rules are taken away."""
        every = list(self._kept.values())
        for kept in every:
            self._record(kept, "released", "the rules were taken away", now_ns)
        for armed in self._armed:
            armed.waiting.clear()
        self._kept.clear()
        self._deadlines.clear()
        return [kept.frame for kept in every]

    def _carry_out(self, armed: _Armed, frame: bytes, now_ns: int, passed: list[bytes]) -> None:
        rule = armed.rule
        kept = _Kept(self._sequence, armed, armed.matched, frame)
        self._sequence += 1
        match rule.kind:
            case "drop":
                armed.completed += 1
                self._record(kept, "dropped", "", now_ns)
            case "duplicate":
                armed.completed += 1
                self._record(kept, "duplicated", "", now_ns)
                passed.append(frame)
                self._pass(frame, now_ns, passed)
            case "corrupt":
                armed.completed += 1
                bit = _bit_to_flip(frame, dice(armed.key, armed.matched, 1))
                self._record(kept, "corrupted", f"bit {bit % 8} of byte {bit // 8}", now_ns)
                self._pass(frame, now_ns, passed, _flipped(frame, bit))
            case "delay":
                self._keep(kept, "delayed", f"by {duration_text(rule.by_ns)}", now_ns, rule.by_ns)
            case "hold":
                self._keep(kept, "held", _end_of_hold(rule), now_ns, rule.timeout_ns)
            case "swap":
                self._keep(kept, "kept", "until the next one", now_ns, rule.timeout_ns)
            case _:
                assert_never(rule.kind)

    def _keep(self, kept: _Kept, done: Done, detail: str, now_ns: int, for_ns: int) -> None:
        if len(self._kept) >= MOST_KEPT:
            self._record(kept, "dropped", f"{MOST_KEPT} frames wait already", now_ns)
            return
        self._record(kept, done, detail, now_ns)
        self._kept[kept.sequence] = kept
        if for_ns:
            heapq.heappush(self._deadlines, (now_ns + for_ns, kept.sequence))
        if kept.armed.rule.until or kept.armed.rule.kind == "swap":
            kept.armed.waiting.append(kept)

    def _pass(
        self, frame: bytes, now_ns: int, passed: list[bytes], changed: bytes | None = None
    ) -> None:
        """Let a frame go on, and right behind it what waited for such a one."""
        passed.append(frame if changed is None else changed)
        if not self._kept:
            return
        freed: list[_Kept] = []
        for armed in self._armed:
            if armed.waiting and armed.trigger(frame):
                freed += armed.waiting
                armed.waiting = []
        freed.sort(key=lambda kept: kept.sequence)
        for kept in freed:
            del self._kept[kept.sequence]
            kept.armed.completed += 1
            if kept.armed.rule.kind == "swap":
                self._record(kept, "swapped", "behind the next one", now_ns)
            else:
                self._record(kept, "released", _trigger_text(kept.armed.rule), now_ns)
            self._pass(kept.frame, now_ns, passed)

    def _record(self, kept: _Kept, done: Done, detail: str, now_ns: int) -> None:
        armed = kept.armed
        self._log(Fate(now_ns, armed.number, armed.text, kept.nth, done, detail, kept.frame))


def _end_of_hold(rule: Rule) -> str:
    ends: list[str] = []
    if rule.until:
        ends.append(f"until {quoted(rule.until)}")
    if rule.timeout_ns:
        ends.append(f"for at most {duration_text(rule.timeout_ns)}")
    return ", ".join(ends)


def _trigger_text(rule: Rule) -> str:
    return f"{quoted(rule.until)} passed"


def _bit_to_flip(frame: bytes, fraction: float) -> int:
    """Return a bit that a checksum covers: behind the IP header, where there is one.

    A bit of the Ethernet header would lose the frame instead; some of an IPv6 header would do
    nothing at all.
    """
    start = _ETHERNET_BYTES
    kind = frame[12:14]
    if kind == b"\x08\x00" and len(frame) > start:
        start += 4 * (frame[start] & 0x0F)
    elif kind == b"\x86\xdd":
        start += _IPV6_BYTES
    if start >= len(frame):
        start = _ETHERNET_BYTES if len(frame) > _ETHERNET_BYTES else 0
    return 8 * start + int(fraction * 8 * (len(frame) - start))


def _flipped(frame: bytes, bit: int) -> bytes:
    if not frame:
        return frame
    at = bit // 8
    return frame[:at] + bytes([frame[at] ^ 1 << bit % 8]) + frame[at + 1 :]
