"""``labctl down``: take a lab down."""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def add_arguments(parser: "argparse.ArgumentParser") -> None:
    """Declare the verb's arguments."""
    from labctl.cli.arguments import add_lab_argument

    add_lab_argument(parser, "which lab; may be left out while one lab is up")
    parser.add_argument("--all", action="store_true", help="every lab of yours")


def run(args: "argparse.Namespace") -> int:
    """Take one lab down, or all."""
    from labctl.errors import LabError
    from labctl.kernel.state import all_labs, find_lab

    if args.all and args.lab is not None:
        raise LabError("--all and a lab's name together make no sense", hint="leave one out")
    if args.all:
        for state in list(all_labs()):
            # Those of a check that runs now end with it.
            if state.is_committed() or not state.is_up():
                _down(state.name)
        return 0
    if args.lab is not None:
        return _down(_name_of(args.lab))
    state, _, pidfd = find_lab(None)
    os.close(pidfd)
    return _down(state.name)


def run_plain(words: list[str]) -> int | None:
    """Understand ``down LAB`` alone; ``None`` for anything more."""
    if len(words) != 1 or words[0].startswith("-"):
        return None
    return _down(_name_of(words[0]))


def _name_of(word: str) -> str:
    # `labctl up ./mine.yaml` and then `labctl down ./mine.yaml` is what people type.
    if "/" not in word and not word.endswith((".yaml", ".j2")):
        return word
    from labctl.kernel.state import all_labs

    path = os.path.abspath(word)
    for state in all_labs():
        holder = state.holder()
        if holder is not None and holder.source == path:
            return state.name
    return os.path.basename(word).removesuffix(".j2").removesuffix(".yaml")


def _down(name: str) -> int:
    from labctl.teardown import down

    if down(name):
        print(f"{name} is down")
    else:
        print(f"{name} was not up", file=sys.stderr)
    return 0
