"""``labctl schema``: the JSON Schema of lab files, for editors."""

import argparse

from labctl.cli.terminal import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: none."""


def run(_: argparse.Namespace) -> int:
    """Print it."""
    from labctl.topology.schema import json_schema

    print_json(json_schema())
    return 0
