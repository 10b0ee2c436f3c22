"""``labctl shell``: open a shell in a node."""

import argparse
import os
import sys

from labctl.cli.arguments import add_lab_option, complete_nodes
from labctl.errors import LabError
from labctl.kernel.join import run_in_node
from labctl.lab import open_lab


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_lab_option(parser)
    node = parser.add_argument(
        "node",
        metavar="NODE",
        nargs="?",
        help="a node; without one the shell is in the lab but in no node, where "
        "`ip netns exec NETNS …` reaches each of them",
    )
    node.completer = complete_nodes  # type: ignore[attr-defined]


def run(args: argparse.Namespace) -> int:
    """Run the user's shell in the node, with the place in its prompt."""
    lab = open_lab(args.lab)
    netns = lab.netns(args.node) if args.node else None
    if netns is None and lab.holder.mode == "root":
        raise LabError(
            "a lab in root mode has no inside of its own: its names are the host's",
            hint=f"name a node: labctl shell {' or '.join(list(lab.state.nodes())[:3])}",
        )
    place = f"{args.node}@{lab.name}" if args.node else lab.name
    environment = dict(os.environ)
    environment["LABCTL_LAB"] = lab.name
    if args.node:
        environment["LABCTL_NODE"] = args.node
    if sys.stdin.isatty():
        print(f"in {place}; exit (Ctrl-D) leaves, the lab stays up", file=sys.stderr)
    argv = shell_command(environment, place)
    return run_in_node(
        lab.state, lab.holder, lab.pidfd, netns, argv, environment, leads_terminal=True
    )


def shell_command(environment: dict[str, str], place: str) -> list[str]:
    """Return the shell's command line; the environment gets a prompt that says where one is."""
    shell = environment.get("SHELL") or "/bin/sh"
    name = os.path.basename(shell)
    if name == "bash":
        # After the user's own .bashrc, which would set the prompt again.
        environment["LABCTL_PROMPT"] = f"[{place}] \\W \\$ "
        environment["PROMPT_COMMAND"] = "PS1=$LABCTL_PROMPT"
        return [shell]
    environment["PS1"] = f"[{place}] $ "
    return [shell]
