"""``labctl ping``: whether every node reaches every other."""

import argparse

from labctl.cli.arguments import add_json_option, add_lab_argument
from labctl.cli.terminal import ProgressLine, paint, print_json, print_table
from labctl.kernel.control import Control
from labctl.lab import open_lab
from labctl.observe.pinging import PingResult, all_pairs, ping_pairs
from labctl.topology.serial import load_topology_text

_LARGEST_MATRIX = 10
"""Nodes. More do not fit a terminal's width: then only what fails is listed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_lab_argument(parser, "which lab; may be left out while one lab is up")
    parser.add_argument(
        "-W", dest="wait_s", metavar="SECONDS", type=float, default=2.0, help="wait this long (2)"
    )
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Ping each pair once; exit code 1 where a reply is missing."""
    lab = open_lab(args.lab)
    topology = load_topology_text(lab.state.read("topology.json") or "")
    pairs = all_pairs(topology)
    line = ProgressLine()
    results = list(
        ping_pairs(
            Control(lab.state),
            lab.state.nodes(),
            pairs,
            wait_s=args.wait_s,
            progress=lambda done: line.show(f"pinging: {done} of {len(pairs)}"),
        )
    )
    line.clear()
    failed = [result for result in results if result.rtt_ms is None]
    if args.json:
        print_json({"format": 1, "lab": lab.name, "pings": [_as_json(r) for r in results]})
    elif not results:
        print(f"{lab.name} has no two nodes with addresses")
    else:
        _print_matrices(results)
        for result in failed:
            pair = result.pair
            print(f"{pair.source} → {pair.target} ({pair.address}): {result.error}")
        summary = f"{len(results) - len(failed)} of {len(results)} pings were answered"
        print(paint(summary, "red" if failed else "green"))
    return 1 if failed else 0


def _as_json(result: PingResult) -> dict[str, object]:
    return {**result.pair._asdict(), "rtt_ms": result.rtt_ms, "error": result.error}


def _print_matrices(results: list[PingResult]) -> None:
    for version in ("IPv4", "IPv6"):
        own = {
            (result.pair.source, result.pair.target): result
            for result in results
            if (":" in result.pair.address) == (version == "IPv6")
        }
        nodes = list(dict.fromkeys(source for source, _ in own))
        if not nodes or len(nodes) > _LARGEST_MATRIX:
            continue
        rows = [
            (source, *(_cell(own.get((source, target)), source == target) for target in nodes))
            for source in nodes
        ]
        print_table((f"{version} from \\ to", *nodes), rows)


def _cell(result: PingResult | None, same: bool) -> str:
    if same or result is None:
        return "·"
    return "–" if result.rtt_ms is None else f"{result.rtt_ms:.2f} ms"
