"""Exact faults of a running lab, for checks: armed, proven to have happened, taken away.

```python
with faults(lab, {"client->server": [{"drop": {"match": "udp", "packets": [3]}}]}) as armed:
    ...
    armed.prove()
```
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from labctl.errors import machine_error
from labctl.impairing import FATES, Impairer, running_topology
from labctl.running import RunningLab
from labctl.topology.directions import Direction
from labctl.topology.rule_directions import place_rules
from labctl.topology.rule_file import rules_from
from labctl.topology.rules import Rule, load_rules_text
from labctl.wait import until
from labctl.wire.fates import FateEntry, parse_fates
from labctl.wire.match import check_filters

_PROVEN_WITHIN_S = 5.0
"""A frame is on its way to the emulator when the program that sent it goes on."""


class ArmedRule(NamedTuple):
    """What has become of one rule since it was armed."""

    direction: str
    """As ``client:eth0->server:eth0``."""
    number: int
    """Which rule of the direction, from 1."""
    text: str
    matched: int
    """Packets that its filter matched."""
    fired: int
    """Packets whose fate it decided."""
    completed: int
    """Faults that were carried out to the end: a swap whose other packet came, a delay that is over."""


class Faults:
    """The rules that a check has armed."""

    def __init__(
        self, lab: RunningLab, placed: Mapping[Direction, Sequence[Rule]], seed: int
    ) -> None:
        self.seed = seed
        """Of the random choices: with the same one they are the same."""
        self.asked = {direction.name: tuple(rules) for direction, rules in placed.items()}
        """The rules of each direction, as they were asked for."""
        self._lab = lab
        self._impairer = Impairer(lab)
        self._directions = set(self.asked)
        self._log_starts_at = _size(lab.state.file(FATES))
        self._last: tuple[list[ArmedRule], list[FateEntry]] | None = None

    def rules(self) -> list[ArmedRule]:
        """Return what has become of each rule, until the end of the ``with`` block at most.

        Raises ``LabError`` where the emulator has died: then nothing can be said.
        """
        if self._last is not None:
            return self._last[0]
        shown = self._impairer.show()
        if any(each["dead"] for each in shown if each["direction"] in self._directions):
            raise machine_error(
                "the emulator of the lab's bad links has died, so no fault can be proven",
                hint="take the lab down and up again",
            )
        return [
            ArmedRule(
                str(each["direction"]),
                number,
                rule["text"],
                rule["matched"],
                rule["fired"],
                rule["completed"],
            )
            for each in shown
            if each["direction"] in self._directions
            for number, rule in enumerate(_rules_of(each), start=1)
        ]

    def fates(self) -> list[FateEntry]:
        """Return what the rules did to which packets, in the order in which they did it.

        After the ``with`` block it is what they did until its end.
        Raises ``LabError`` where they did more than the log has room for.
        """
        if self._last is not None:
            return self._last[1]
        try:
            with open(self._lab.state.file(FATES), "rb") as log:
                log.seek(self._log_starts_at)
                entries, is_complete = parse_fates(log.read().decode())
        except FileNotFoundError:
            raise machine_error(
                f'the lab "{self._lab.name}" has ended, and its fate log with it',
                hint="read the log while the lab is up",
            ) from None
        if not is_complete:
            raise machine_error(
                "the fate log is full", hint="let the rules match fewer packets, with `match`"
            )
        return [entry for entry in entries if entry.direction in self._directions]

    def prove(self, within_s: float = _PROVEN_WITHIN_S) -> None:
        """Wait until every rule has completed a fault.

        Raises ``LabError``, the lab's fault and not the program's, where one has not.
        """
        if until(self._all_completed, within_s):
            return
        missing = [rule for rule in self.rules() if not rule.completed]
        if not missing:
            return
        rule = missing[0]
        raise machine_error(
            f"the fault did not happen: rule {rule.number}, {rule.text}, matched {rule.matched} "
            f"packets, fired {rule.fired} times and completed {rule.completed} times",
            where=rule.direction,
            hint="let its filter and numbers fit the packets that are really sent",
        )

    def _all_completed(self) -> bool:
        return all(rule.completed for rule in self.rules())

    def keep_last(self) -> None:
        """Remember what became of the rules: they are about to be taken away."""
        self._last = self.rules(), self.fates()


@contextmanager
def faults(
    lab: RunningLab, written: Mapping[str, object], where: str = "faults"
) -> Iterator[Faults]:
    """Have rules armed for the length of a ``with`` block.

    ``written`` is what a rule file says, as plain values. Rules that were on the same directions
    before are armed again in the end, and count anew; impairments stay. ``where`` names the check
    in errors. Raises ``LabError`` or ``LabErrors``, with nothing armed, where the rules are wrong
    or a link is not wired.
    """
    file = rules_from(written, where)
    topology = running_topology(lab)
    placed: dict[Direction, Sequence[Rule]] = {
        Direction(one.link, topology.links[one.link], one.is_from_left): one.rules
        for one in place_rules(file, topology)
    }
    check_filters(file)
    seed = int.from_bytes(os.urandom(4), "big") if file.seed is None else file.seed
    impairer = Impairer(lab)
    before = {direction: impairer.asked(direction) for direction in placed}
    armed = Faults(lab, placed, seed)
    impairer.arm(placed, seed)
    try:
        yield armed
    finally:
        try:
            armed.keep_last()
        finally:
            for direction, asked in before.items():
                _restore(impairer, direction, asked)


def _restore(impairer: Impairer, direction: Direction, asked: Mapping[str, object]) -> None:
    if not asked:
        impairer.clear([direction])
        return
    # Armed in place of the others, and not after a moment without any: words stay in force.
    if "rules" not in asked:
        impairer.arm({direction: ()}, 0)
        return
    seed, [(_, rules, _)] = load_rules_text(str(asked["rules"]))
    impairer.arm({direction: rules}, seed or 0)


def _rules_of(shown: Mapping[str, object]) -> list[dict[str, Any]]:
    rules = shown.get("rules", [])
    assert isinstance(rules, list)
    return rules


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
