"""``labctl explain``: a lab as the shell commands that build it."""

import argparse

from labctl.cli.arguments import (
    add_impairments_option,
    add_json_option,
    add_lab_arguments,
    lab_topology,
)
from labctl.cli.terminal import print_json
from labctl.lab import explain_steps
from labctl.plan.explain import explain


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_lab_arguments(parser)
    parser.add_argument("--name", help="as `labctl up --name`")
    add_impairments_option(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Print a shell script; it needs no privileges to be printed, and root to be run."""
    topology = lab_topology(args)
    steps = explain_steps(topology, args.impairments)
    if args.json:
        print_json(
            {
                "format": 1,
                "lab": topology.name,
                "steps": [
                    {"step": type(step).__name__, **step._asdict(), "command": step.command()}
                    for step in steps
                ],
            }
        )
        return 0
    for line in explain(topology.name, steps):
        print(line)
    return 0
