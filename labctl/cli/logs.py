"""``labctl logs``: what a background program printed."""

import argparse
import sys
import time

from labctl.cli.arguments import add_lab_option, add_program_argument, chosen_program
from labctl.errors import LabError
from labctl.kernel.control import Control
from labctl.lab import open_lab
from labctl.programs.logs import Follower, read_log, timed_lines
from labctl.programs.supervise import find_status
from labctl.wait import until


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_lab_option(parser)
    parser.add_argument(
        "-f", dest="follow", action="store_true", help="go on until the program ends, or Ctrl-C"
    )
    parser.add_argument(
        "-t", dest="times", action="store_true", help="with the time of day of each line"
    )
    add_program_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print its stdout and stderr, in the order in which they came."""
    if args.follow and args.times:
        raise LabError("-f shows no times", hint="leave one out: -t shows all that is kept so far")
    lab = open_lab(args.lab)
    control = Control(lab.state)
    program = chosen_program(args.program, control.programs())
    find_status(control, program)
    out = sys.stdout.buffer
    if args.times and not args.follow:
        for seconds, line in timed_lines(lab.state, program):
            clock = time.strftime("%H:%M:%S", time.localtime(seconds))
            out.write(f"{clock}.{int(seconds % 1 * 1000):03d} ".encode() + line)
        out.flush()
        return 0
    if not args.follow:
        out.write(read_log(lab.state, program))
        out.flush()
        return 0
    follower = Follower(lab.state, program)
    ended = False
    while not ended:
        # Its end is looked at first: what it printed last is in the log by then.
        ended = not lab.is_alive() or find_status(control, program).ended is not None
        output = follower.new() if ended else until(follower.new, within_s=0.2)
        out.write(output or b"")
        out.flush()
    follower.close()
    return 0
