"""``labctl graph``: a lab as a picture: for a terminal, a slide, a wiki or Graphviz."""

import argparse
import sys

from labctl.cli.arguments import add_lab_arguments, lab_topology
from labctl.observe.graph import FORMATS, draw
from labctl.observe.graph_output import ENDINGS, choose_format, write_picture


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_lab_arguments(parser)
    parser.add_argument("--name", help="as `labctl up --name`")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        "--format",
        choices=FORMATS,
        help="default: what the ending of FILE says; without a file, text on a terminal and "
        "mermaid otherwise",
    )
    chosen.add_argument(
        "--json", dest="format", action="store_const", const="json", help="same as --format json"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        default="",
        help=f"write to FILE, replacing it; endings: {' '.join(ENDINGS)}",
    )


def run(args: argparse.Namespace) -> int:
    """Draw, to the file or to the standard output."""
    path = "" if args.output == "-" else args.output
    picture_format = choose_format(args.format, path, on_terminal=sys.stdout.isatty())
    topology = lab_topology(args)
    if path:
        write_picture(path, draw(topology, picture_format))
        return 0
    ascii_only = sys.stdout.encoding.lower().replace("-", "") != "utf8"
    print(draw(topology, picture_format, ascii_only=ascii_only), end="")
    return 0
