"""``labctl run``: a program by name, in a node, here or in the background."""

import argparse
import os

from labctl.cli.arguments import add_lab_option, add_node_argument, command_words
from labctl.errors import LabError
from labctl.lab import open_lab
from labctl.programs.find import find_program, known_programs
from labctl.programs.search import search_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_lab_option(parser)
    parser.add_argument(
        "-d", dest="detach", action="store_true", help="in the background, under the lab"
    )
    parser.add_argument(
        "--ready",
        metavar="COND",
        default="",
        help="with -d: wait until `listening udp/PORT`, `listening tcp/PORT` or `log TEXT`",
    )
    parser.add_argument("--name", help="with -d: call it this in `labctl ps`")
    parser.add_argument(
        "--within",
        metavar="SECONDS",
        type=float,
        default=5.0,
        help="with --ready: how long to wait (5)",
    )
    add_node_argument(parser)
    program = parser.add_argument(
        "program", metavar="PROGRAM", help="a path, or a name such as time_server"
    )
    program.completer = lambda **_: known_programs(search_path())  # type: ignore[attr-defined]
    arguments = parser.add_argument(
        "arguments", metavar="ARG…", nargs=argparse.REMAINDER, help="what the program is given"
    )
    # argparse would name it among the words that are missing.
    arguments.required = False


def run(args: argparse.Namespace) -> int:
    """Run the program; in the foreground its exit code is labctl's."""
    lab = open_lab(args.lab)
    netns = lab.netns(args.node)
    words = command_words([args.program, *args.arguments])
    if not args.detach:
        if args.ready or args.name:
            raise LabError(
                "--ready and --name need -d", hint="a program in the foreground has none"
            )
        from labctl.kernel.join import run_in_node

        command = [*find_program(words[0], search_path()), *words[1:]]
        environment = {**os.environ, "LABCTL_LAB": lab.name, "LABCTL_NODE": args.node}
        return run_in_node(lab.state, lab.holder, lab.pidfd, netns, command, environment)
    from labctl.kernel.control import Control
    from labctl.programs.supervise import check_name, free_name, start_program

    wanted = args.name or os.path.basename(words[0]).removesuffix(".py")
    name = args.name or free_name(Control(lab.state), wanted)
    check_name(name)
    start_program(lab.state, name, args.node, words, ready=args.ready, ready_within_s=args.within)
    state = f"ready ({args.ready})" if args.ready else "started"
    print(f"{name} {state} in {args.node}; labctl logs {name}, labctl stop {name}")
    return 0
