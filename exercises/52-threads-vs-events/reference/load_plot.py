#!/usr/bin/env python3
"""Draw a table of load_client as an SVG picture: a curve for each server.

usage: load_plot [COLUMN]        (requests_per_s)

Reads one table or several from its input, headings included, and writes the picture to its output:
clients from left to right, COLUMN upwards, both from 0 and on the same scale for all curves.
"""

import sys
from xml.sax.saxutils import escape, quoteattr

WIDTH, HEIGHT, MARGIN = 640, 400, 60
COLOURS = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad")

Point = tuple[int, int]


def read_table(lines: list[str], column: str) -> dict[str, list[Point]]:
    """Return the points of each server, from the fewest clients to the most."""
    curves: dict[str, list[Point]] = {}
    heading: list[str] = []
    for line in lines:
        words = line.rstrip("\n").split("\t")
        if words[0] == "server":
            heading = words
            if column not in heading[1:]:
                sys.exit(f'error: table: there is no column "{column}"')
            continue
        if not heading or len(words) != len(heading) or not all(w.isdigit() for w in words[1:]):
            sys.exit(f"error: table: {line!r} is no line of it")
        row = dict(zip(heading, words, strict=True))
        curves.setdefault(row["server"], []).append((int(row["clients"]), int(row[column])))
    if not curves:
        sys.exit("error: table: it is empty")
    return {server: sorted(points) for server, points in curves.items()}


def picture(curves: dict[str, list[Point]], column: str) -> str:
    """Return the SVG text."""
    # One scale for all: two curves that are each as high as the picture could not be compared.
    most_x = max(x for points in curves.values() for x, _ in points)
    most_y = max(y for points in curves.values() for _, y in points) or 1

    def place(x: int, y: int) -> str:
        # In SVG y grows downwards.
        left = MARGIN + (WIDTH - 2 * MARGIN) * x / most_x
        top = HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * y / most_y
        return f"{left:.2f},{top:.2f}"

    axes = f"{place(0, most_y)} {place(0, 0)} {place(most_x, 0)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="14">',
        f'<path d="M {axes.replace(" ", " L ")}" fill="none" stroke="#888"/>',
        f'<text x="{WIDTH - MARGIN}" y="{HEIGHT - 20}" text-anchor="end">clients: {most_x}</text>',
        f'<text x="{MARGIN}" y="{MARGIN - 20}">{escape(column)}: {most_y}</text>',
    ]
    for n, (server, points) in enumerate(curves.items()):
        colour = COLOURS[n % len(COLOURS)]
        where = " ".join(place(x, y) for x, y in points)
        parts += [
            f"<polyline data-server={quoteattr(server)} points={quoteattr(where)}"
            f' fill="none" stroke="{colour}" stroke-width="2"/>',
            f'<text x="{WIDTH - MARGIN + 4}" y="{MARGIN + 20 * n}" fill="{colour}"'
            f' text-anchor="end">{escape(server)}</text>',
        ]
    return "\n".join([*parts, "</svg>"])


def main(arguments: list[str]) -> None:
    if len(arguments) > 1:
        print("usage: load_plot [COLUMN]", file=sys.stderr)
        sys.exit(2)
    column = arguments[0] if arguments else "requests_per_s"
    print(picture(read_table(sys.stdin.readlines(), column), column))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
