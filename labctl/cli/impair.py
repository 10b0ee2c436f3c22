"""``labctl impair``: make a link bad, on a running lab, and good again."""

import argparse
import os

from labctl.cli.arguments import add_json_option, add_lab_option, complete_nodes
from labctl.cli.terminal import print_json, print_table, print_warning
from labctl.errors import LabError
from labctl.impairing import FATES, Impairer, running_topology
from labctl.running import RunningLab, open_lab
from labctl.topology.directions import (
    Direction,
    all_directions,
    directions_between,
    directions_from,
)
from labctl.topology.impairment import PERFECT
from labctl.topology.impairment_limits import warnings_of
from labctl.topology.impairment_words import parse_impairment
from labctl.topology.rule_directions import place_rules
from labctl.topology.rule_file import load_rules
from labctl.wire.match import check_filters

_COUNTERS = ("seen", "lost", "delayed", "duplicated", "corrupted", "reordered", "overrun")

_EPILOG = """examples:
  labctl impair client2 loss 40%              what client2 sends, as tc would on its interface
  labctl impair client2 delay 500ms 400ms distribution normal reorder 50%
  labctl impair --link client2-server delay 20ms    both directions
  labctl impair --rules faults.yaml           exact faults, see README
  labctl impair --show                        what is bad now, and what it did
  labctl impair client2 --clear               good again; without a node, every link
The words are those of tc-netem(8)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    add_lab_option(parser)
    parser.add_argument("--link", metavar="A-B", help="both directions of the link between A and B")
    parser.add_argument("--clear", action="store_true", help="make it good again")
    parser.add_argument("--show", action="store_true", help="show what is bad, with counters")
    parser.add_argument("--rules", metavar="FILE", help="arm the rules of a file; `-` is stdin")
    add_json_option(parser)
    place = parser.add_argument(
        "place", metavar="NODE[:IF]", nargs="?", help="what leaves this node's interface"
    )
    place.completer = complete_nodes  # type: ignore[attr-defined]
    parser.add_argument("words", metavar="WORDS…", nargs="*", help="as for `tc qdisc … netem`")


def run(args: argparse.Namespace) -> int:
    """Do what the one of the four forms says."""
    words = list(args.words)
    if args.link and args.place:
        # With --link there is no node: what stood in its place is the first of the words.
        words.insert(0, args.place)
        args.place = None
    forms = sum((args.clear, args.show, bool(args.rules), bool(words)))
    if forms != 1:
        raise LabError(
            "say what to do" if forms == 0 else "that is more than one thing at once",
            hint="labctl impair client2 loss 40%, or --clear, --show, --rules FILE",
        )
    if args.rules and (args.place or args.link):
        raise LabError(
            "the rules themselves say for which directions they are",
            hint=f"labctl impair --rules {args.rules}",
        )
    impairment = parse_impairment(words) if words else PERFECT
    lab = open_lab(args.lab)
    impairer = Impairer(lab)
    if args.rules:
        return _arm(lab, impairer, args.rules, as_json=args.json)
    directions = _directions(lab, args)
    if args.show:
        return _show(lab, impairer, directions, as_json=args.json)
    if args.clear:
        impairer.clear(directions or all_directions(running_topology(lab)))
        return _show(lab, impairer, directions, as_json=True) if args.json else 0
    if not directions:
        raise LabError("name the node whose packets are meant", hint=" or ".join(lab.state.nodes()))
    impairer.impair(directions, impairment)
    for warning in warnings_of(impairment):
        print_warning(warning)
    _tell_healed(impairer)
    if args.json:
        return _show(lab, impairer, directions, as_json=True)
    for direction in directions:
        print(f"{direction.name}: {' '.join(words)}")
    return 0


def _directions(lab: RunningLab, args: argparse.Namespace) -> list[Direction]:
    topology = running_topology(lab)
    if args.link:
        return directions_between(topology, args.link)
    return directions_from(topology, args.place) if args.place else []


def _tell_healed(impairer: Impairer) -> None:
    if impairer.healed:
        print_warning(
            f"the emulator had died and was started again; {', '.join(impairer.healed)} passed "
            "nothing meanwhile, and rules count from 1 again"
        )


def _arm(lab: RunningLab, impairer: Impairer, path: str, *, as_json: bool) -> int:
    topology = running_topology(lab)
    rules = load_rules("/dev/stdin" if path == "-" else path)
    placed = place_rules(rules, topology)
    check_filters(rules)
    seed = rules.seed if rules.seed is not None else int.from_bytes(os.urandom(4), "big")
    impairer.arm(
        {
            Direction(each.link, topology.links[each.link], each.is_from_left): each.rules
            for each in placed
        },
        seed,
    )
    _tell_healed(impairer)
    if as_json:
        names = [each.name for each in placed]
        print_json({"format": 1, "lab": lab.name, "seed": seed, "directions": names})
        return 0
    for each in placed:
        count = len(each.rules)
        print(f"{each.name}: {count} rule{'s' if count != 1 else ''} armed")
    print(f"seed {seed}; the fate log is {lab.state.file(FATES)}")
    return 0


def _show(
    lab: RunningLab, impairer: Impairer, directions: list[Direction], *, as_json: bool
) -> int:
    wanted = {direction.name for direction in directions}
    shown = [each for each in impairer.show() if not wanted or each["direction"] in wanted]
    is_dead = any(each["dead"] for each in shown)
    if as_json:
        print_json({"format": 1, "lab": lab.name, "impairments": shown})
    elif not shown:
        print("every link is good" if not wanted else "no impairment there")
    else:
        _print_table(shown)
    for each in shown:
        _warn(each)
    if is_dead:
        said = "the emulator has died: these links pass nothing"
        print_warning(f"{said}; any `labctl impair` starts it again")
        return 3
    return 0


def _print_table(shown: list[dict[str, object]]) -> None:
    rows = []
    for each in shown:
        counters, words = each.get("counters", {}), each["words"]
        assert isinstance(counters, dict)
        assert isinstance(words, list)
        figures = [str(counters.get(name, "–")) for name in _COUNTERS]
        rows.append((str(each["direction"]), str(each["backend"]), *figures, " ".join(words)))
    print_table(("DIRECTION", "BY", *(name.upper() for name in _COUNTERS), "WORDS"), rows)
    for each in shown:
        _print_rules(each)


def _warn(shown: dict[str, object]) -> None:
    counters = shown.get("counters", {})
    assert isinstance(counters, dict)
    if lost := counters.get("socket_overruns"):
        print_warning(
            f"{shown['direction']}: {lost} frames came faster than the emulator could take them, "
            "and were lost besides those that you asked for"
        )
    if missing := shown.get("unlogged"):
        print_warning(
            f"{shown['direction']}: {missing} lines are missing in the fate log, which could not "
            "be written"
        )


def _print_rules(shown: dict[str, object]) -> None:
    rules = shown.get("rules", [])
    assert isinstance(rules, list)
    for number, rule in enumerate(rules, start=1):
        print(
            f"{shown['direction']} rule {number}: {rule['text']}: matched {rule['matched']}, "
            f"fired {rule['fired']}, completed {rule['completed']}"
        )
