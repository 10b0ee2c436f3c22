"""``labctl start``: a copy of an exercise to work on."""

import argparse
import os

from labctl.cli.arguments import add_exercise_argument, chosen_exercise
from labctl.cli.terminal import paint


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_exercise_argument(parser)
    parser.add_argument(
        "folder", metavar="DIR", nargs="?", help="where to put it (./work/EXERCISE)"
    )


def run(args: argparse.Namespace) -> int:
    """Copy what a learner needs, and say what to do next."""
    from labctl.grading.start import start_exercise, work_folder

    exercise = chosen_exercise(args.exercise)
    usual = work_folder(exercise)
    folder = args.folder or usual
    names = start_exercise(exercise, folder)
    print(f"{paint(exercise.title, 'bold')}: yours to edit in {folder}/")
    for name in names:
        print(f"  {name}")
    where = "" if os.path.abspath(folder) == os.path.abspath(usual) else f" {folder}"
    first = "read README.md, then" if "README.md" in names else "next:"
    print(f"{first} labctl check {args.exercise}{where}")
    return 0
