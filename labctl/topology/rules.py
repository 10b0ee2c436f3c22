"""Exact faults of one direction of a link, as plain values; and their text, in their own language.

All conditions of a rule must hold for it to fire: the filter matches, the number of the packet is
among ``packets``, it is a multiple of ``every``, and the dice say so.
"""

import json
from typing import Any, Literal, NamedTuple, get_args

Kind = Literal["drop", "swap", "delay", "duplicate", "corrupt", "hold"]
KINDS: tuple[Kind, ...] = get_args(Kind)

ENDLESS = 2**63 - 1
"""The end of a range of packets that has none: ``5-``."""

DEFAULT_SWAP_TIMEOUT_NS = 1_000_000_000
"""A frame that waits to change places goes on alone after this time."""

_NS_PER_MS = 1_000_000


class Rule(NamedTuple):
    """One fault. Packets are counted from 1, each rule its own: those its filter matches."""

    kind: Kind
    match: str = ""
    """A pcap filter; empty for every frame."""
    packets: tuple[tuple[int, int], ...] = ()
    """Ranges of numbers, both ends included; none for all packets."""
    every: int = 1
    """Only multiples of this."""
    probability: float = 1.0
    by_ns: int = 0
    """``delay``: for how long."""
    until: str = ""
    """``hold``: a frame that matches this pcap filter lets the held ones go on after it."""
    timeout_ns: int = 0
    """``hold``, ``swap``: when the frame goes on in any case; 0 for never."""
    where: str = ""
    """The ``file:line`` it was written at; for errors only."""

    def __str__(self) -> str:
        """Return the rule as one would write it in a file."""
        words: list[str] = []
        if self.match:
            words.append(f"match: {json.dumps(self.match)}")
        if self.packets:
            words.append(f"packets: [{', '.join(_range_text(*ends) for ends in self.packets)}]")
        if self.every != 1:
            words.append(f"every: {self.every}")
        if self.probability != 1:
            words.append(f"p: {_percent(self.probability)}")
        if self.by_ns:
            words.append(f"by: {duration_text(self.by_ns)}")
        if self.until:
            words.append(f"until: {{match: {json.dumps(self.until)}}}")
        if self.timeout_ns and not self._has_default_timeout:
            words.append(f"timeout: {duration_text(self.timeout_ns)}")
        return f"{self.kind}: {{{', '.join(words)}}}"

    @property
    def least_packets(self) -> int:
        """Return how many packets have to match before it can have happened once."""
        every = self.every
        candidates = [
            number
            for first, last in self.packets or ((1, every),)
            if (number := -(-first // every) * every) <= last
        ]
        # A swap is complete only when the next packet has gone first.
        return min(candidates, default=1) + (self.kind == "swap")

    @property
    def _has_default_timeout(self) -> bool:
        return self.kind == "swap" and self.timeout_ns == DEFAULT_SWAP_TIMEOUT_NS


class DirectionRules(NamedTuple):
    """The rules of one direction, as written: ``client2->server``."""

    direction: str
    rules: tuple[Rule, ...]
    where: str = ""


class RuleFile(NamedTuple):
    """All the rules of a lab."""

    seed: int | None
    """Of the random choices; ``None`` where the file leaves it to who arms the rules."""
    directions: tuple[DirectionRules, ...]


def dump_rules(file: RuleFile) -> str:
    """Return JSON text; named tuples become arrays in the order of their fields."""
    return json.dumps(file, separators=(",", ":"))


def load_rules_text(text: str) -> RuleFile:
    """Return what ``dump_rules`` was given. Raises ``ValueError`` or ``TypeError`` otherwise."""
    seed, directions = json.loads(text)
    return RuleFile(
        seed,
        tuple(
            DirectionRules(direction, tuple(rule_of(*rule) for rule in rules), where)
            for direction, rules, where in directions
        ),
    )


def duration_text(ns: int) -> str:
    """Return ``50ms`` or ``2s``, exactly."""
    if ns % (1000 * _NS_PER_MS) == 0:
        return f"{ns // (1000 * _NS_PER_MS)}s"
    whole, rest = divmod(ns, _NS_PER_MS)
    return f"{whole}.{rest:06}".rstrip("0").rstrip(".") + "ms"


def rule_of(kind: Kind, match: str, packets: list[list[int]], *rest: Any) -> Rule:  # noqa: ANN401 - JSON
    """Return the rule whose fields JSON has as these."""
    return Rule(kind, match, tuple((first, last) for first, last in packets), *rest)


def _range_text(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f'"{first}-{"" if last == ENDLESS else last}"'


def _percent(probability: float) -> str:
    return f"{round(probability * 100, 9):.9f}".rstrip("0").rstrip(".") + "%"
