"""``labctl exec``: run a command in a node, in this terminal."""

import os

from labctl.cli.plain import parse_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def add_arguments(parser: "argparse.ArgumentParser") -> None:
    """Declare the verb's arguments."""
    import argparse

    from labctl.cli.arguments import add_lab_option, add_node_argument

    add_lab_option(parser)
    add_node_argument(parser)
    parser.add_argument(
        "command", metavar="-- CMD…", nargs=argparse.REMAINDER, help="the command and its arguments"
    )


def run(args: "argparse.Namespace") -> int:
    """Run the command; return its exit code."""
    from labctl.cli.arguments import command_words

    return execute(args.lab, args.node, command_words(args.command))


def run_plain(words: list[str]) -> int | None:
    """Understand ``[-l LAB] NODE [--] CMD…``; ``None`` for anything else."""
    parsed = parse_plain(words, options=("-l",))
    if parsed is None or len(parsed[2]) < 2:
        return None
    _, options, (node, *command) = parsed
    if command[0] == "--":
        del command[0]
    return execute(dict(options).get("-l"), node, command) if command else None


def execute(lab: str | None, node: str, command: list[str]) -> int:
    """Run a command in a node of a running lab; return its exit code."""
    from labctl.errors import LabError
    from labctl.kernel.join import run_in_node
    from labctl.kernel.state import find_lab

    if not command:
        raise LabError("no command is given", hint=f"labctl exec {node} -- ip address")
    if command[0].startswith("-"):
        raise LabError(
            f'"{command[0]}" is no command',
            hint=f"options stand before the node: labctl exec -l LAB {node} -- ip address",
        )
    state, holder, pidfd = find_lab(lab)
    netns = state.netns(node)
    if netns is None:
        from labctl.lab import unknown_node

        raise unknown_node(state.name, node, list(state.nodes()))
    environment = {**os.environ, "LABCTL_LAB": state.name, "LABCTL_NODE": node}
    return run_in_node(state, holder, pidfd, netns, command, environment)
