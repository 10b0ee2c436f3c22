"""``labctl ps``: the programs of a lab."""

import argparse
import time

from labctl.cli.arguments import add_json_option, add_lab_argument
from labctl.cli.terminal import ago, print_json, print_table
from labctl.kernel.control import Control, ProgramStatus
from labctl.lab import open_lab
from labctl.programs.supervise import describe_end


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_lab_argument(parser, "which lab; may be left out while one lab is up")
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """List them, running or ended, oldest first."""
    lab = open_lab(args.lab)
    programs = Control(lab.state).programs()
    if args.json:
        print_json({"format": 1, "lab": lab.name, "programs": [program_json(p) for p in programs]})
        return 0
    if not programs:
        print(f"{lab.name} runs no programs; `labctl run -d NODE PROGRAM` starts one")
        return 0
    print_table(
        ("NAME", "NODE", "STATE", "SINCE", "PID IN LAB", "COMMAND"), [_row(p) for p in programs]
    )
    return 0


def program_json(program: ProgramStatus) -> dict[str, object]:
    """Return a program as the JSON outputs show it."""
    return {
        **program._asdict(),
        "state": "running" if program.ended is None else "ended",
    }


def _row(program: ProgramStatus) -> tuple[str, ...]:
    if program.ended is None or program.exit_status is None:
        state, since = "running", program.started
    else:
        state, since = describe_end(program.exit_status).removeprefix("was "), program.ended
    age = f"{ago(time.time() - since)} ago"
    command = " ".join(program.argv)
    return (program.name, program.node, state, age, str(program.pid), command)
