"""The language of rules: what a YAML tree says becomes rules, every problem at its line.

```yaml
seed: 7
client2->server:
  - drop:  {match: "udp port 8080", packets: [3, "5-7"]}
  - delay: {match: icmp, every: 10, by: 50ms}
  - hold:  {match: "udp", p: 10%, until: {match: icmp}, timeout: 2s}
```
"""

import re
from typing import get_args

from labctl.topology.problems import Loc, Problems
from labctl.topology.rules import (
    DEFAULT_SWAP_TIMEOUT_NS,
    ENDLESS,
    KINDS,
    DirectionRules,
    Kind,
    Rule,
    RuleFile,
)
from labctl.topology.tree import Value
from labctl.topology.units import duration_s, whole_number
from labctl.topology.words import listed, nearest, quoted

MOST_RULES = 200
"""In one direction; each rule looks at each frame."""

_ARROW = "->"
_EXAMPLE = "`client->server: [{drop: {match: udp, packets: [3]}}]`"
_LONGEST_S = 3600
_COMMON_KEYS = ("match", "packets", "every", "p")
_OWN_KEYS: dict[Kind, tuple[str, ...]] = {
    "drop": (),
    "swap": ("timeout",),
    "delay": ("by",),
    "duplicate": (),
    "corrupt": (),
    "hold": ("until", "timeout"),
}
_MATCH_HINT = 'a filter as for tcpdump, such as "udp port 8080"'
_RANGE = re.compile(r"\s*(\d{1,9})\s*(-\s*(\d{1,9})?)?\s*", re.ASCII)
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)\s*%", re.ASCII)


def read_rules(tree: Value, loc: Loc, problems: Problems) -> RuleFile:
    """Return the rules at ``loc``, where ``tree`` was read; what is wrong goes to ``problems``."""
    if not isinstance(tree, dict):
        problems.add(loc, "rules must be a mapping", f"start with a direction, such as {_EXAMPLE}")
        return RuleFile(None, ())
    seed = _seed(tree["seed"], (*loc, "seed"), problems) if "seed" in tree else None
    directions: list[DirectionRules] = []
    for key, value in tree.items():
        if key != "seed":
            directions.append(_direction(key, value, (*loc, key), problems))
    if not directions:
        problems.add(loc, "there are no rules", f"add a direction, such as {_EXAMPLE}")
    return RuleFile(seed, tuple(directions))


def _seed(value: Value, loc: Loc, problems: Problems) -> int | None:
    seed = whole_number(value) if isinstance(value, str) else None
    if seed is None:
        problems.add(
            loc, f"the seed must be a whole number{_not(value)}", "at most nine digits, such as 7"
        )
    return seed


def _direction(key: str, value: Value, loc: Loc, problems: Problems) -> DirectionRules:
    ends = [end.strip() for end in key.split(_ARROW)]
    if len(ends) != 2 or not all(ends):
        close = nearest(key, ["seed"])
        problems.add(
            loc,
            f"{quoted(key)} is not a direction",
            f"did you mean {quoted(close)}?"
            if close
            else "write FROM->TO with the names of two nodes, such as client->server",
            of_key=True,
        )
    rules: list[Rule] = []
    if not isinstance(value, list) or not value:
        problems.add(loc, f"{quoted(key)} must have a list of rules", f"for example {_EXAMPLE}")
    elif len(value) > MOST_RULES:
        problems.add(
            loc, f"{quoted(key)} has {len(value)} rules, and at most {MOST_RULES} are kept"
        )
    else:
        for position, entry in enumerate(value):
            rule = _Reader(problems, (*loc, position)).rule(entry)
            if rule is not None:
                rules.append(rule)
    where = problems.where(problems.line(loc, of_key=True))
    return DirectionRules(_ARROW.join(ends), tuple(rules), where)


class _Reader:
    """Reads one entry of a list of rules."""

    def __init__(self, problems: Problems, loc: Loc) -> None:
        self._problems = problems
        self._loc = loc
        self._subject = ""

    def rule(self, entry: Value) -> Rule | None:
        """Return the rule, as far as it can be understood; None where not even its kind can."""
        if not isinstance(entry, dict) or len(entry) != 1:
            hint = f"for example `drop: {{packets: [3]}}`; the words are {listed(KINDS)}"
            if isinstance(entry, dict) and entry and next(iter(entry)) in KINDS:
                hint = f"indent its settings further than `{next(iter(entry))}:`"
            self._problems.add(
                self._loc, f"a rule is one word with its settings{_not(entry)}", hint
            )
            return None
        [(word, settings)] = entry.items()
        kind = next((kind for kind in get_args(Kind) if kind == word), None)
        if kind is None:
            close = nearest(word, KINDS)
            self._problems.add(
                (*self._loc, word),
                f"{quoted(word)} is not a kind of rule",
                f"did you mean {quoted(close)}?" if close else f"known: {listed(KINDS)}",
                of_key=True,
            )
            return None
        self._loc = (*self._loc, kind)
        self._subject = f'in the "{kind}" rule'
        if settings is None:
            settings = {}
        if not isinstance(settings, dict):
            self._problems.add(
                self._loc,
                f'the settings of the "{kind}" rule must be a mapping{_not(settings)}',
                f"for example `{kind}: {{match: icmp, packets: [3]}}`",
            )
            return None
        return self._settings(kind, settings)

    def _settings(self, kind: Kind, settings: dict[str, Value]) -> Rule:
        known = (*_COMMON_KEYS, *_OWN_KEYS[kind])
        for key in settings:
            if key not in known:
                self._unknown(key, known)
        by_ns = self._duration("by", settings) if "by" in known else 0
        timeout_ns = self._duration("timeout", settings) if "timeout" in known else 0
        until = self._until(settings) if "until" in known else ""
        match kind:
            case "delay" if "by" not in settings:
                self._say('a "delay" rule needs "by"', "for example `by: 50ms`")
            case "hold" if not settings.keys() & {"until", "timeout"}:
                self._say(
                    'a "hold" rule without an end would keep packets for ever',
                    "add `timeout: 2s`, or `until: {match: icmp}`, or both",
                )
            case "swap" if "timeout" not in settings:
                timeout_ns = DEFAULT_SWAP_TIMEOUT_NS
            case _:
                pass
        return Rule(
            kind,
            self._filter("match", settings, self._loc),
            self._packets(settings),
            self._every(settings),
            self._probability(settings),
            by_ns,
            until,
            timeout_ns,
            self._problems.where(self._problems.line(self._loc, of_key=True)),
        )

    def _unknown(self, key: str, known: tuple[str, ...]) -> None:
        close = nearest(key, known)
        owners = [kind for kind, keys in _OWN_KEYS.items() if key in keys]
        hint = f"it can have {listed(known)}"
        if close:
            hint = f"did you mean {quoted(close)}?"
        elif owners:
            hint = f"it belongs to {listed(owners)}; {hint}"
        self._say(f"unknown key {quoted(key)} {self._subject}", hint, key, of_key=True)

    def _filter(self, key: str, settings: dict[str, Value], loc: Loc) -> str:
        if key not in settings:
            return ""
        text = settings[key]
        if isinstance(text, str) and text.strip():
            return text.strip()
        self._problems.add(
            (*loc, key), f'"{key}" {self._subject} must be a filter{_not(text)}', _MATCH_HINT
        )
        return ""

    def _until(self, settings: dict[str, Value]) -> str:
        if "until" not in settings:
            return ""
        until = settings["until"]
        if isinstance(until, dict) and until.keys() == {"match"}:
            return self._filter("match", until, (*self._loc, "until"))
        self._say(
            f'"until" {self._subject} must be a mapping with "match" alone{_not(until)}',
            "for example `until: {match: icmp}`",
            "until",
        )
        return ""

    def _packets(self, settings: dict[str, Value]) -> tuple[tuple[int, int], ...]:
        if "packets" not in settings:
            return ()
        value = settings["packets"]
        items = value if isinstance(value, list) else [value]
        if not items:
            self._say(f'"packets" {self._subject} is empty', "leave it out for all", "packets")
        ranges: list[tuple[int, int]] = []
        for item in items:
            numbers = _RANGE.fullmatch(item) if isinstance(item, str) else None
            if numbers is None:
                self._say(
                    f'"packets" {self._subject} must be numbers{_not(item)}',
                    'for example [3, 5], "2-4" or [3, "5-7"]; "5-" is all from the fifth',
                    "packets",
                )
                continue
            first = int(numbers[1])
            last = int(numbers[3]) if numbers[3] else ENDLESS if numbers[2] else first
            if first == 0:
                self._say(f"there is no packet 0 {self._subject}", "they count from 1", "packets")
            elif last < first:
                hint = f'write "{last}-{first}"' if last else "they count from 1"
                self._say(f"{quoted(item)} {self._subject} runs backwards", hint, "packets")
            else:
                ranges.append((first, last))
        return tuple(sorted(set(ranges)))

    def _every(self, settings: dict[str, Value]) -> int:
        if "every" not in settings:
            return 1
        value = settings["every"]
        number = whole_number(value) if isinstance(value, str) else None
        if number:
            return number
        self._say(
            f'"every" {self._subject} must be a number from 1{_not(value)}',
            "`every: 10` is the tenth, the twentieth, ...",
            "every",
        )
        return 1

    def _probability(self, settings: dict[str, Value]) -> float:
        if "p" not in settings:
            return 1.0
        value = settings["p"]
        percent = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
        if percent is not None and 0 < float(percent[1]) <= 100:
            return float(percent[1]) / 100
        self._say(
            f'"p" {self._subject} must be over 0% and at most 100%{_not(value)}',
            "for example `p: 10%`",
            "p",
        )
        return 1.0

    def _duration(self, key: str, settings: dict[str, Value]) -> int:
        """Return nanoseconds; a time without a unit is refused, since tc takes it for microseconds."""
        if key not in settings:
            return 0
        value = settings[key]
        seconds = duration_s(value) if isinstance(value, str) else None
        if seconds is not None and isinstance(value, str) and not value.strip()[-1].isdigit():
            nanoseconds = round(seconds * 1_000_000_000)
            if 0 < nanoseconds <= _LONGEST_S * 1_000_000_000:
                return nanoseconds
        self._say(
            f'"{key}" {self._subject} must be a time with its unit{_not(value)}',
            "for example 50ms or 2s; at most 60min",
            key,
        )
        return 0

    def _say(self, problem: str, hint: str, *inside: str, of_key: bool = False) -> None:
        self._problems.add((*self._loc, *inside), problem, hint, of_key=of_key)


def _not(value: Value) -> str:
    """Return the end of a sentence: what stands there instead."""
    match value:
        case None:
            return ", and has no value"
        case str():
            return f", not {quoted(value)}"
        case list():
            return ", not a list"
        case dict():
            return ", not a mapping" if len(value) < 2 else f", not {listed(map(quoted, value))}"
