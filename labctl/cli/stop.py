"""``labctl stop``: end a background program."""

import argparse

from labctl.cli.arguments import add_lab_option, add_program_argument, chosen_program
from labctl.kernel.control import Control
from labctl.lab import open_lab
from labctl.programs.supervise import describe_end, stop_program


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_lab_option(parser)
    add_program_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Send SIGTERM, and SIGKILL three seconds later if it is still there."""
    state = open_lab(args.lab).state
    running = [program for program in Control(state).programs() if program.ended is None]
    ended = stop_program(state, chosen_program(args.program, running))
    print(f"{ended.name} {describe_end(ended.exit_status or 0)}")
    return 0
