"""``labctl completion``: the shell code that completes labctl's words."""

import argparse

SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("shell", choices=SHELLS, help='eval "$(labctl completion bash)"')


def run(args: argparse.Namespace) -> int:
    """Print it; argcomplete asks labctl itself for the words at every Tab."""
    from argcomplete.shell_integration import shellcode

    print(shellcode(["labctl"], shell=args.shell))
    return 0
