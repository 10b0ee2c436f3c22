"""The whole command line as argparse sees it; only the verb in use is imported."""

import argparse
import os
import sys
from importlib import import_module
from typing import NoReturn

from labctl.cli import VERBS
from labctl.cli.terminal import print_error
from labctl.errors import LabError

_MODULES = {"exec": "exec_", "completion": "completion"}


def parse(words: list[str]) -> argparse.Namespace:
    """Return the arguments; ``run`` among them is the verb's function.

    Exits with code 2 for words that make no sense, and with 0 after ``--help``.
    """
    words = _verb_first(words)
    completing = "_ARGCOMPLETE" in os.environ
    if completing:
        # The shell's line; its first word is labctl itself.
        words = os.environ.get("COMP_LINE", "").split()[1:]
    parser = _Parser(
        prog="labctl",
        description="Small networks on one machine, for teaching and for grading.",
        epilog="labctl VERB --help says more. Exit codes: 0 done, 1 the checked thing failed, "
        "2 usage or lab file wrong, 3 labctl or the machine is at fault.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    verbs = parser.add_subparsers(metavar="VERB", parser_class=_Parser)
    wanted = next((word for word in words if not word.startswith("-")), None)
    for verb, help_text in VERBS.items():
        description = help_text[0].upper() + help_text[1:] + "."
        verb_parser = verbs.add_parser(verb, help=help_text, description=description)
        if verb == wanted:
            module = import_module(f"labctl.cli.{_MODULES.get(verb, verb)}")
            module.add_arguments(verb_parser)
            verb_parser.set_defaults(run=module.run, parser=verb_parser)
    if completing:
        import argcomplete

        argcomplete.autocomplete(parser)
    args, unknown = parser.parse_known_args(words)
    if unknown:
        _refuse(unknown, args, parser)
    if args.version:
        args.run = _print_version
    elif "run" not in args:
        parser.print_help(sys.stderr)
        sys.exit(2)
    return args


def _verb_first(words: list[str]) -> list[str]:
    """Let `labctl --rootless up LAB` be `labctl up --rootless LAB`."""
    verb = next((at for at, word in enumerate(words) if not word.startswith("-")), 0)
    if words[:1] == ["--version"] or not verb or words[verb] not in VERBS:
        return words
    return [words[verb], *words[:verb], *words[verb + 1 :]]


def _refuse(unknown: list[str], args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Say that nobody understands these words, for the parser whose words they are."""
    verb_parser = getattr(args, "parser", parser)
    shown = " ".join(unknown)
    nouns = "option" if unknown[0].startswith("-") else "word"
    verb_parser.error(f'"{shown}" is no {nouns} of {verb_parser.prog}')


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say it as every other error is said."""
        import re

        hint = f"{self.prog} --help"
        message = message.replace("the following arguments are required:", "missing:")
        if message == "missing: LAB":
            from labctl.cli.arguments import complete_lab_files

            hint = f"the labs here are: {' '.join(complete_lab_files())}"
        elif message.startswith("missing: EXERCISE"):
            from labctl.cli.arguments import complete_exercises

            hint = f"the exercises here are: {' '.join(complete_exercises())}"
        elif match := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            from difflib import get_close_matches

            choices = re.findall(r"[\w-]+", match[2])
            near = get_close_matches(match[1], choices, n=1, cutoff=0.7)
            if "VERB" in message:
                message = f'there is no verb "{match[1]}"'
            if near:
                hint = f'did you mean "{near[0]}"?'
        print_error(LabError(message, hint=hint))
        sys.exit(2)


def _print_version(_: argparse.Namespace) -> int:
    from importlib.metadata import PackageNotFoundError, version

    try:
        print(f"labctl {version('labctl')}")
    except PackageNotFoundError:
        print("labctl, from a checkout that is not installed")
    return 0
