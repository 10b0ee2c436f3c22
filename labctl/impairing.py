"""Makes links of a running lab bad, and good again, whichever way they were built.

A plain link gets a netem qdisc in its node. A wired link is led through the lab's emulator, which
is started at the first impairment: the kernel's redirects are pointed at it once it is ready, and
back before it lets go, so no frame falls between.

What is asked of each direction is remembered in the lab's folder before it is done and forgotten
after it is undone. So whatever is killed in between, no bad link is forgotten.
"""

import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from labctl.errors import LabError, machine_error
from labctl.kernel import detour, netem
from labctl.kernel.control import Control
from labctl.kernel.netem_links import NetemLinks
from labctl.kernel.offloads import set_offloads
from labctl.kernel.qdisc import InstalledNetem
from labctl.plan.backend import detour_names, far_names
from labctl.programs.logs import read_log, tail
from labctl.running import RunningLab
from labctl.topology.directions import Direction, all_directions
from labctl.topology.impairment import PERFECT, Impairment
from labctl.topology.impairment_limits import unsupported_on_wire
from labctl.topology.impairment_words import impairment_words, parse_impairment
from labctl.topology.model import Topology
from labctl.topology.rules import DirectionRules, Rule, RuleFile, dump_rules
from labctl.topology.serial import load_topology_text
from labctl.wait import until
from labctl.wire.client import EMULATOR, SOCKET, EmulatorClient, EmulatorSilent

FATES = "fates.jsonl"
"""The fate log, in the lab's folder."""

_MEMORY = "impairments.json"
_OURS = (_MEMORY, f"{_MEMORY}.new", FATES, SOCKET)
_LOCKED_WITHIN_S = 10.0

Kept = dict[str, object]
"""What is asked of one direction: ``words``, ``rules``, or both."""


def running_topology(lab: RunningLab) -> Topology:
    """Return the topology that a running lab was built from."""
    text = lab.state.read("topology.json")
    if text is None:
        raise _lab_has_ended(lab.name)
    return load_topology_text(text)


def wired_numbers(lab: RunningLab) -> set[int]:
    """Return the numbers of the lab's wired links."""
    return {int(word) for word in (lab.state.read("wired") or "").split()}


class Impairer:
    """Changes the links of one running lab."""

    def __init__(self, lab: RunningLab) -> None:
        self._lab = lab
        self._control = Control(lab.state)
        self._emulator = EmulatorClient(lab.state, self._control)
        self._wired = wired_numbers(lab)
        self._netns = lab.state.nodes()
        if not self._netns and not lab.is_alive():
            raise _lab_has_ended(lab.name)
        self._netem = NetemLinks(self._control, self._netns)
        self.healed: list[str] = []
        """The directions that were dead, because their emulator was, and work again."""

    def impair(self, directions: Sequence[Direction], impairment: Impairment) -> None:
        """Make the directions as bad as that, in place of whatever they were."""
        wired = [direction for direction in directions if self._is_wired(direction)]
        if wired and (refused := unsupported_on_wire(impairment)) is not None:
            raise refused
        words: Kept = {"words": impairment_words(impairment)}
        with self._changing(directions):
            for direction in directions:
                if not self._is_wired(direction):
                    self._netem.put(direction, impairment)
                    self._remember({direction: words})
            self._through_emulator(dict.fromkeys(wired, words))

    def arm(self, placed: Mapping[Direction, Sequence[Rule]], seed: int) -> None:
        """Put rules on directions, in place of those they had. Counting begins anew.

        Raises ``LabError`` where a link is not wired.
        """
        self.impair_wired({}, placed, seed)

    def impair_wired(
        self,
        impaired: Mapping[Direction, Impairment],
        placed: Mapping[Direction, Sequence[Rule]],
        seed: int,
    ) -> None:
        """Do for wired links what ``impair`` and ``arm`` do, for many directions at once.

        ``impaired`` holds nothing that is ``unsupported_on_wire``.
        """
        asked: dict[Direction, Kept] = {
            direction: {"words": impairment_words(impairment)}
            for direction, impairment in impaired.items()
        }
        for direction, rules in placed.items():
            if not self._is_wired(direction):
                raise LabError(
                    f"rules need a wired link, and {direction.name} was built without one",
                    hint=f"labctl down {self._lab.name}, then build it again with "
                    "labctl up … --impairments wire",
                )
            file = RuleFile(seed, (DirectionRules(direction.name, tuple(rules)),))
            asked.setdefault(direction, {})["rules"] = dump_rules(file)
        with self._changing(list(asked)):
            self._through_emulator(asked)

    def clear(self, directions: Sequence[Direction]) -> None:
        """Make the directions perfect again; what is under way still arrives."""
        with self._changing([]):
            plain = [each for each in directions if not self._is_wired(each)]
            self._netem.clear(plain)
            self._forget(plain)
            remembered = self._remembered()
            self._clear_wire(
                [each for each in directions if self._is_wired(each) and each.name in remembered]
            )

    def emulator_is_dead(self) -> bool:
        """Whether links are led through an emulator that has ended, and so pass nothing."""
        return bool(self._remembered_on_wire()) and not self._emulator.is_running()

    def asked(self, direction: Direction) -> Kept:
        """Return what is asked of a direction: ``words``, ``rules``, both or nothing."""
        return self._remembered().get(direction.name, {})

    def show(self) -> list[dict[str, object]]:
        """Return every direction that is impaired, with its words, rules and counters."""
        return [*self._shown_by_emulator(), *self._shown_by_netem()]

    def _is_wired(self, direction: Direction) -> bool:
        return direction.link_number in self._wired

    def _shown_by_emulator(self) -> Iterator[dict[str, object]]:
        remembered = self._remembered_on_wire()
        if not remembered:
            return
        if self._emulator.is_running():
            answer = self._ask({"do": "show"})
            shown = {direction["direction"]: direction for direction in answer["directions"]}
            for direction in remembered:
                if direction.name in shown:
                    yield {"backend": "wire", "dead": False, **shown[direction.name]}
            return
        for direction, kept in remembered.items():
            words = kept.get("words", [])
            yield {"backend": "wire", "dead": True, "direction": direction.name, "words": words}

    def _shown_by_netem(self) -> Iterator[dict[str, object]]:
        remembered = self._remembered()
        plain = [
            direction
            for direction in all_directions(running_topology(self._lab))
            if not self._is_wired(direction)
        ]
        installed = self._netem.installed(plain)
        for direction in plain:
            found = installed.get(direction.name)
            if found is not None and found.impairment != PERFECT:
                yield _shown_netem(direction, found, remembered.get(direction.name))

    def _through_emulator(self, asked: Mapping[Direction, Kept]) -> None:
        """Have the emulator carry out what is asked of directions, and lead their frames there."""
        if not asked:
            return
        before = self._remembered()
        self._remember(asked)
        with detour.HiddenLinks(self._control) as hidden:
            is_new = False
            try:
                if not self._emulator.is_running():
                    is_new = True
                    self._emulator.start()
                remembered = self._remembered()
                self._prepare(
                    hidden, {each: remembered[each.name] for each in asked} if is_new else asked
                )
            except BaseException:
                self._write_remembered(before)
                raise
            # From here on some may be led there, and none of those may be forgotten.
            hidden.point(map(_way_to_emulator, asked))
            if not is_new:
                return
            others = {
                each: kept
                for each, kept in self._remembered_on_wire().items()
                if each not in asked and hidden.has(_far_ends(each))
            }
            self._prepare(hidden, others)
            hidden.point(map(_way_to_emulator, others))
            self.healed += [each.name for each in (*asked, *others) if each.name in before]

    def _prepare(self, hidden: detour.HiddenLinks, asked: Mapping[Direction, Kept]) -> None:
        """Tell the emulator, so that it is ready for the frames when they are led to it."""
        hidden.ensure_pairs(detour_names(direction.link_number) for direction in asked)
        for direction, kept in asked.items():
            place = {
                "direction": direction.name,
                "reader": _detour(direction)[1],
                "writer": _far_ends(direction)[1],
            }
            if "words" in kept:
                self._ask({"do": "impair", "words": kept["words"], **place})
            if "rules" in kept:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
                fates = os.open(self._lab.state.file(FATES), flags, 0o600)
                try:
                    self._ask({"do": "rules", "rules": kept["rules"], **place}, [fates])
                finally:
                    os.close(fates)
        self._set_offloads(asked, on=False)

    def _ask(self, request: dict[str, object], fds: Sequence[int] = ()) -> dict[str, Any]:
        try:
            return self._emulator.ask(request, fds)
        except EmulatorSilent as silent:
            raise machine_error(
                f"the emulator of the lab's bad links does not answer: {silent}",
                hint="if it has died the next `labctl impair` starts a new one",
                output=tail(read_log(self._lab.state, EMULATOR)),
            ) from silent

    def _clear_wire(self, directions: Sequence[Direction]) -> None:
        if not directions:
            return
        with detour.HiddenLinks(self._control) as hidden:
            there = [each for each in directions if hidden.has(_far_ends(each))]
            hidden.point(_far_ends(each) for each in there)
        self._forget(directions)
        if self._emulator.is_running():
            for direction in directions:
                self._ask({"do": "clear", "direction": direction.name})
        remembered = self._remembered()
        self._set_offloads(
            [each for each in there if each.opposite.name not in remembered], on=True
        )

    def _set_offloads(self, directions: Iterable[Direction], *, on: bool) -> None:
        links: dict[str, dict[str, str]] = {}
        for direction in directions:
            for end in (direction.source, direction.target):
                links.setdefault(end.node, {})[end.interface] = direction.name
        for node, names in links.items():
            with self._control.open_socket(
                self._netns[node], socket.AF_INET, socket.SOCK_DGRAM, 0
            ) as sock:
                for interface, name in names.items():
                    try:
                        set_offloads(sock, interface, on=on)
                    except OSError as error:
                        if error.errno != errno.ENODEV:
                            raise
                        raise detour.link_is_gone(name) from error

    @contextmanager
    def _changing(self, directions: Sequence[Direction]) -> Iterator[None]:
        """Keep every other ``labctl impair`` out, and refuse what cannot be done for all."""
        try:
            with _locked(self._lab):
                wired = [direction for direction in directions if self._is_wired(direction)]
                if wired:
                    with detour.HiddenLinks(self._control) as hidden:
                        for direction in wired:
                            if not hidden.has(_far_ends(direction)):
                                raise detour.link_is_gone(direction.name)
                yield
        except OSError as error:
            self._leave_nothing_in_a_dead_lab()
            raise machine_error(
                f"cannot note in {self._lab.state.path} what is asked of the links: "
                f"{error.strerror}",
                hint="is the disk full?" if error.errno == errno.ENOSPC else "",
            ) from error
        except LabError:
            self._leave_nothing_in_a_dead_lab()
            raise
        self._leave_nothing_in_a_dead_lab()

    def _leave_nothing_in_a_dead_lab(self) -> None:
        if self._lab.is_alive():
            return
        # Whoever takes the lab down may have emptied its folder before something was put in.
        for name in _OURS:
            with suppress(OSError):
                os.unlink(self._lab.state.file(name))
        with suppress(OSError):
            os.rmdir(self._lab.state.path)
        raise _lab_has_ended(self._lab.name)

    def _remembered(self) -> dict[str, Kept]:
        text = self._lab.state.read(_MEMORY)
        parsed: dict[str, Kept] = json.loads(text) if text else {}
        return parsed

    def _remembered_on_wire(self) -> dict[Direction, Kept]:
        remembered = self._remembered()
        return {
            direction: remembered[direction.name]
            for direction in (all_directions(running_topology(self._lab)) if remembered else ())
            if self._is_wired(direction) and direction.name in remembered
        }

    def _remember(self, asked: Mapping[Direction, Kept]) -> None:
        remembered = self._remembered()
        for direction, kept in asked.items():
            remembered.setdefault(direction.name, {}).update(kept)
        self._write_remembered(remembered)

    def _forget(self, directions: Sequence[Direction]) -> None:
        remembered = self._remembered()
        names = {direction.name for direction in directions}
        kept = {name: asked for name, asked in remembered.items() if name not in names}
        if kept != remembered:
            self._write_remembered(kept)

    def _write_remembered(self, remembered: dict[str, Kept]) -> None:
        self._lab.state.write(_MEMORY, json.dumps(remembered))


@contextmanager
def _locked(lab: RunningLab) -> Iterator[None]:
    # A file that is there for as long as the lab, and that nobody else locks.
    fd = os.open(lab.state.file("wired"), os.O_RDONLY | os.O_CLOEXEC)
    try:

        def locks() -> bool:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        if not until(locks, _LOCKED_WITHIN_S):
            raise machine_error(
                f'another `labctl impair` is changing the lab "{lab.name}"',
                hint="was it stopped with Ctrl-Z? end it, then try again",
            )
        yield
    finally:
        os.close(fd)


def _lab_has_ended(name: str) -> LabError:
    return machine_error(f'the lab "{name}" has ended', hint=f"labctl up {name}")


def _far_ends(direction: Direction) -> tuple[str, str]:
    """Return the hidden interfaces where the direction's frames arrive, and where they leave."""
    left, right = far_names(direction.link_number)
    return (left, right) if direction.is_from_left else (right, left)


def _detour(direction: Direction) -> tuple[str, str]:
    """Return the hidden interfaces where its frames go in, and where the emulator reads them."""
    first, second = detour_names(direction.link_number)
    return (first, second) if direction.is_from_left else (second, first)


def _way_to_emulator(direction: Direction) -> tuple[str, str]:
    return _far_ends(direction)[0], _detour(direction)[0]


def _shown_netem(
    direction: Direction, found: InstalledNetem, kept: Kept | None
) -> dict[str, object]:
    asked = direction.source.impair.split() if kept is None else kept.get("words", [])
    assert isinstance(asked, list)
    statistics = found.statistics
    return {
        "backend": "netem",
        "dead": False,
        "direction": direction.name,
        "words": impairment_words(netem.as_asked(parse_impairment(asked), found.impairment)),
        "counters": {
            "seen": statistics.sent_packets + statistics.dropped,
            "dropped": statistics.dropped,
            "waiting": statistics.waiting_packets,
        },
    }
