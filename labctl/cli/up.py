"""``labctl up``: build a lab and leave it running."""

from __future__ import annotations

import os
import sys
import time

from labctl.cli.arguments import (
    IMPAIRMENTS,
    add_impairments_option,
    add_json_option,
    add_lab_arguments,
    add_mode_options,
    choose_rootless,
    lab_parameters,
    lab_path,
)
from labctl.cli.plain import parse_plain
from labctl.cli.terminal import ProgressLine, paint, print_json, print_warning
from labctl.topology.cache import load_topology

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from labctl.plan.backend import Impairments
    from labctl.topology.model import Topology

_PLAIN_OPTIONS = ("-p", "--name", "--impairments")

_SHOW_PROGRESS_FROM = 200
"""Steps. A lab smaller than this is built before a progress line could be read."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_lab_arguments(parser)
    parser.add_argument("--name", help="call the lab this, to have several copies of it")
    add_mode_options(parser)
    add_impairments_option(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would be done, as `labctl explain`"
    )
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Build the lab."""
    if args.dry_run:
        from labctl.cli import explain

        return explain.run(args)
    rootless = choose_rootless(rootless=args.rootless, root=args.root)
    return build(
        args.lab,
        args.parameters,
        args.name or "",
        rootless=rootless,
        impairments=args.impairments,
        as_json=args.json,
    )


def run_plain(words: list[str]) -> int | None:
    """Understand options and then LAB, or LAB and then options; ``None`` for anything else."""
    if words and not words[0].startswith("-"):
        words = [*words[1:], words[0]]
    parsed = parse_plain(words, flags=("--rootless", "--root"), options=_PLAIN_OPTIONS)
    if parsed is None or len(parsed[2]) != 1 or len(parsed[0]) > 1:
        return None
    flags, options, (lab,) = parsed
    impairments = dict(options).get("--impairments", "auto")
    if impairments not in IMPAIRMENTS:
        return None
    rootless = choose_rootless(rootless="--rootless" in flags, root="--root" in flags)
    parameters = [value for option, value in options if option == "-p"]
    name = dict(options).get("--name", "")
    return build(lab, parameters, name, rootless=rootless, impairments=impairments, as_json=False)


def build(
    lab_name: str,
    parameters: list[str],
    name: str,
    *,
    rootless: bool,
    impairments: Impairments,
    as_json: bool,
) -> int:
    """Build a lab, show how it goes, and say what can be done with it now."""
    started = time.perf_counter()
    path = lab_path(lab_name)
    topology = load_topology(path, lab_parameters(parameters), name)
    loaded = time.perf_counter()

    from labctl import lab

    line = ProgressLine()

    def show_steps(done: int, of: int) -> None:
        if of >= _SHOW_PROGRESS_FROM:
            line.show(f"building {topology.name}: {100 * done // of} %")

    def show_program(name: str, ready: str) -> None:
        line.show(f"starting {name}" + (f", waiting for: {ready}" if ready else ""))

    try:
        timings = lab.up(
            topology,
            os.path.abspath(path),
            is_rootless=rootless,
            impairments=impairments,
            progress=lab.Progress(show_steps, show_program),
        )
    finally:
        line.clear()
    timings["load_ms"] = (loaded - started) * 1000
    if os.environ.get("LABCTL_TIMINGS"):
        phases = " ".join(f"{name}={value:.3f}" for name, value in timings.items())
        print(f"timings: {phases}", file=sys.stderr)
    for warning in _warnings(topology):
        print_warning(warning)
    if as_json:
        print_json(_as_json(topology, rootless))
    else:
        print(_summary(topology, rootless))
    return 0


def _warnings(topology: Topology) -> Iterator[str]:
    """Yield what `labctl impair` would warn of, had it made the links as bad as the lab file does."""
    if not any(end.impair for link in topology.links for end in link[:2]):
        return
    # Imported only for labs that start with bad links.
    from labctl.topology.directions import all_directions
    from labctl.topology.impairment_limits import warnings_of
    from labctl.topology.impairment_words import parse_impairment
    from labctl.topology.words import listed

    directions_by_words: dict[str, list[str]] = {}
    for direction in all_directions(topology):
        if direction.source.impair:
            directions_by_words.setdefault(direction.source.impair, []).append(direction.name)
    directions_by_warning: dict[str, list[str]] = {}
    for words, names in directions_by_words.items():
        for warning in warnings_of(parse_impairment(words.split())):
            directions_by_warning.setdefault(warning, []).extend(names)
    for warning, names in directions_by_warning.items():
        yield f"{listed(names, most=2)}: {warning}"


def _summary(topology: Topology, rootless: bool) -> str:
    names = [node.name for node in topology.nodes]
    shown = " ".join(names[:8]) + (f" … ({len(names)} nodes)" if len(names) > 8 else "")
    mode = "rootless" if rootless else "root"
    first = names[0] if names else "NODE"
    is_bad = any(end.impair or end.rules for link in topology.links for end in link[:2])
    return (
        f"{paint(topology.name, 'bold')} is up ({mode}): {shown}\n"
        f"  labctl ping · labctl shell {first} · "
        f"{'labctl impair --show · ' if is_bad else ''}labctl down {topology.name}"
    )


def _as_json(topology: Topology, rootless: bool) -> dict[str, object]:
    return {
        "format": 1,
        "name": topology.name,
        "mode": "rootless" if rootless else "root",
        "nodes": {node.name: node.netns for node in topology.nodes},
        "programs": [program.name for program in topology.programs],
    }
