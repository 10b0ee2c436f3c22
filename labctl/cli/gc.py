"""``labctl gc``: remove what crashed labs and checks left behind."""

import argparse

from labctl.teardown import collect_garbage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: none."""


def run(_: argparse.Namespace) -> int:
    """Remove it, and say what it was."""
    removed = collect_garbage()
    for name in removed:
        print(f"removed what was left of {name}")
    if not removed:
        print("nothing to remove")
    return 0
