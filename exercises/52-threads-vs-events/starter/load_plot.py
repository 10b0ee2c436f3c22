#!/usr/bin/env python3
"""Draw a table of load_client as an SVG picture. The task is in README.md.

usage: load_plot [COLUMN]        (requests_per_s)
"""

import sys


def main():
    if len(sys.argv) > 2:
        print("usage: load_plot [COLUMN]", file=sys.stderr)
        sys.exit(2)
    sys.stdin.read()
    # TODO: a polyline for each server, and its name
    print('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 400"></svg>')


if __name__ == "__main__":
    main()
