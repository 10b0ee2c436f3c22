"""A lab as a picture to look at: one SVG file that needs nothing else.

Host, router and switch differ by outline, symbol and word, so that colour is not the only sign.
The page is white by its own rectangle, so that a dark viewer does not swallow the text.
"""

from collections.abc import Iterator, Sequence
from html import escape
from unicodedata import east_asian_width

from labctl.observe.graph_facts import (
    KIND_WORDS,
    NodeFacts,
    facts,
    headline,
    kind_words,
    link_labels,
    node_lines,
)
from labctl.observe.graph_geometry import Port, Rect, Route, Size, Wire, WireEnd
from labctl.observe.graph_layout import lay_out
from labctl.topology.model import Endpoint, NodeKind, Topology

MARGIN = 28
TITLE_HEIGHT = 46
SMALL_LINE = 15
SMALL_LETTER = 6.75
"""Widest advance of the common monospaced fonts at 11 px (0.602 em, and a little to spare)."""
NAME_LETTER = 10.2
HEADING_HEIGHT = 42
ICON_ROOM = 34
BOX_PADDING = 12
WORD_GAP = 6

_COLOURS: dict[NodeKind, tuple[str, str]] = {
    "host": ("#1f5fa8", "#f2f7fd"),
    "router": ("#25752a", "#f1f9f1"),
    "bridge": ("#a85b00", "#fff7ea"),
}

# Symbols in a square of 20: a screen on its foot, a disc with four arrows, a box with two.
_SYMBOLS: dict[NodeKind, str] = {
    "host": "M1 3h18v11h-18z M10 14v4 M5 18h10",
    "router": (
        "M19 10a9 9 0 1 1 -18 0a9 9 0 1 1 18 0z M10 8v-5m-2 2l2-2l2 2 M10 12v5m-2-2l2 2l2-2"
        " M3 10h5m-2-2l2 2l-2 2 M17 10h-5m2-2l-2 2l2 2"
    ),
    "bridge": "M1 2h18v16h-18z M4 7h11m-3-3l3 3l-3 3 M16 13h-11m3-3l-3 3l3 3",
}

_STYLE = """\
text { font-family: Helvetica, Arial, "Liberation Sans", "DejaVu Sans", sans-serif; fill: #1b1b1b; }
.title { font-size: 20px; font-weight: bold; }
.size { font-size: 13px; font-weight: normal; fill: #555555; }
.name { font-size: 15px; font-weight: bold; }
.kind { font-size: 12px; }
.small { font-family: Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace; font-size: 11px; }
.interface { font-weight: bold; }
.subnet { fill: #444444; }
.wire { fill: none; stroke: #666666; stroke-width: 1.8; }
.port { fill: #333333; }
.box { stroke-width: 2; }
.symbol { fill: none; stroke-width: 1.6; stroke-linecap: round; stroke-linejoin: round; }
"""


def draw_svg(topology: Topology) -> str:
    """Return the SVG document."""
    everything = facts(topology)
    ipv6 = topology.uses_ipv6()
    words = [(kind_words(fact.node, ipv6=ipv6), node_lines(fact)) for fact in everything]
    labels = link_labels(topology)
    number = {node.name: index for index, node in enumerate(topology.nodes)}
    layout = lay_out(
        [_box_size(fact.node.name, *word) for fact, word in zip(everything, words, strict=True)],
        [
            Wire(
                (
                    _wire_end(number[link.left.node], link.left),
                    _wire_end(number[link.right.node], link.right),
                ),
                _words_size(label),
            )
            for link, label in zip(topology.links, labels, strict=True)
        ],
    )
    size = headline(topology)
    title_width = round(len(topology.name) * 14 + len(size) * 8 + 20)
    width = max(layout.size.width, title_width) + 2 * MARGIN
    height = layout.size.height + TITLE_HEIGHT + 2 * MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img">',
            f"<title>{_text(topology.name)}</title>",
            f"<desc>A network of {_text(size)}.</desc>",
            f"<style>\n{_STYLE}</style>",
            f'<rect class="page" width="{width}" height="{height}" fill="#ffffff"/>',
            f'<text x="{MARGIN}" y="{MARGIN + 16}" class="title">{_text(topology.name)}'
            f'<tspan class="size" dx="12">{_text(size)}</tspan></text>',
            f'<g transform="translate({MARGIN} {MARGIN + TITLE_HEIGHT})">',
            *(_wire(route) for route in layout.routes),
            *(
                line
                for fact, (kind, small), rect in zip(everything, words, layout.boxes, strict=True)
                for line in _box(fact, kind, small, rect)
            ),
            *(
                line
                for link, label, route in zip(topology.links, labels, layout.routes, strict=True)
                for line in (
                    *_end_words(link.left, route.left),
                    *_end_words(link.right, route.right),
                    *_label(label, route.label),
                )
            ),
            "</g>",
            "</svg>",
            "",
        ]
    )


def _box_size(name: str, kind: str, small: Sequence[str]) -> Size:
    heading = ICON_ROOM + max(_cells(name) * NAME_LETTER, _cells(kind) * 6.8)
    width = max(heading, *(_cells(line) * SMALL_LETTER for line in small))
    return Size(
        round(width) + 2 * BOX_PADDING,
        HEADING_HEIGHT + len(small) * SMALL_LINE + BOX_PADDING,
    )


def _wire_end(box: int, end: Endpoint) -> WireEnd:
    width = max(_cells(word) for word in (end.interface, *end.addresses)) * SMALL_LETTER
    return WireEnd(
        box, round(width) + 2 * WORD_GAP, SMALL_LINE, max(6, len(end.addresses) * SMALL_LINE)
    )


def _words_size(lines: Sequence[str]) -> Size:
    if not lines:
        return Size(0, 0)
    width = max(_cells(line) for line in lines) * SMALL_LETTER
    return Size(round(width) + 2 * WORD_GAP, len(lines) * SMALL_LINE + 4)


def _wire(route: Route) -> str:
    path = [f"M{route.left.x} {route.left.y}"]
    for (ax, ay), (bx, by), (cx, cy), (dx, dy) in route.curves:
        path.append(f"L{ax:g} {ay:g}C{bx:g} {by:g} {cx:g} {cy:g} {dx:g} {dy:g}")
    path.append(f"L{route.right.x} {route.right.y}")
    return f'<path class="wire" d="{"".join(path)}"/>'


def _box(fact: NodeFacts, kind: str, small: Sequence[str], rect: Rect) -> Iterator[str]:
    stroke, fill = _COLOURS[fact.node.kind]
    content = HEADING_HEIGHT + len(small) * SMALL_LINE + BOX_PADDING
    left = rect.x + BOX_PADDING
    top = rect.y + (rect.height - content) // 2
    yield f'<g class="node {KIND_WORDS[fact.node.kind]}">'
    yield _outline(fact.node.kind, rect, f'class="box" stroke="{stroke}" fill="{fill}"')
    yield (
        f'<path class="symbol" stroke="{stroke}" d="{_SYMBOLS[fact.node.kind]}" '
        f'transform="translate({left} {top + 14})"/>'
    )
    yield _words(left + ICON_ROOM - 4, top + 23, "name", fact.node.name)
    yield _words(left + ICON_ROOM - 4, top + 39, "kind", kind)
    for line_number, line in enumerate(small, 1):
        yield _words(left, top + HEADING_HEIGHT + line_number * SMALL_LINE, "small", line)
    yield "</g>"


def _outline(kind: NodeKind, rect: Rect, style: str) -> str:
    x, y, width, height = rect
    if kind == "router":
        return (
            f'<path {style} d="M{x + 12} {y}h{width - 24}l12 12v{height - 24}l-12 12'
            f'h{24 - width}l-12 -12v{24 - height}z"/>'
        )
    corner = 9 if kind == "host" else 0
    extra = "" if kind == "host" else ' stroke-dasharray="9 3"'
    return f'<rect {style}{extra} x="{x}" y="{y}" width="{width}" height="{height}" rx="{corner}"/>'


def _end_words(end: Endpoint, port: Port) -> Iterator[str]:
    anchor = "start" if port.side > 0 else "end"
    x = port.x + port.side * WORD_GAP
    yield f'<circle class="port" cx="{port.x}" cy="{port.y}" r="3"/>'
    yield _words(x, port.y - 5, "small interface", end.interface, anchor)
    for line, address in enumerate(end.addresses, 1):
        yield _words(x, port.y + line * SMALL_LINE - 2, "small address", address, anchor)


def _label(lines: Sequence[str], rect: Rect) -> Iterator[str]:
    if not lines:
        return
    yield (
        f'<rect class="label" x="{rect.x}" y="{rect.y}" width="{rect.width}" '
        f'height="{rect.height}" rx="4" fill="#ffffff"/>'
    )
    for number, line in enumerate(lines, 1):
        y = rect.y + number * SMALL_LINE - 2
        yield _words(rect.x + rect.width // 2, y, "small subnet", line, "middle")


def _words(x: int, y: int, style: str, text: str, anchor: str = "start") -> str:
    end = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x}" y="{y}" class="{style}"{end}>{_text(text)}</text>'


def _cells(text: str) -> int:
    return sum(2 if east_asian_width(sign) in "WF" else 1 for sign in text)


def _text(text: str) -> str:
    # XML has no way at all to write most control characters.
    return escape("".join(sign if sign.isprintable() else "?" for sign in text))
