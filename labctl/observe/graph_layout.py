"""Where the boxes and wires of a picture lie: its connected parts, beside and below each other."""

from collections.abc import Sequence
from math import isqrt

from labctl.observe.graph_columns import Graph
from labctl.observe.graph_geometry import (
    Layout,
    Rect,
    Route,
    Size,
    Wire,
    moved_rect,
    moved_route,
)
from labctl.observe.graph_part import place_part

PART_GAP = 40


def lay_out(boxes: Sequence[Size], wires: Sequence[Wire]) -> Layout:
    """Return a place for everything: the connected parts beside and below each other."""
    graph = Graph(len(boxes), [(wire.ends[0].box, wire.ends[1].box) for wire in wires])
    placed = [place_part(graph, part, boxes, wires) for part in graph.parts(range(len(boxes)))]
    # The biggest part first: what stands alone fills the row below it.
    placed.sort(key=lambda part: -len(part.rects))
    area = sum((part.size.width + PART_GAP) * (part.size.height + PART_GAP) for part in placed)
    row_width = max([isqrt(area * 2), *(part.size.width for part in placed)])
    rects: dict[int, Rect] = {}
    routes: dict[int, Route] = {}
    x = y = row_height = width = 0
    for part in placed:
        if x and x + part.size.width > row_width:
            x, y, row_height = 0, y + row_height + PART_GAP, 0
        rects |= {node: moved_rect(rect, x, y) for node, rect in part.rects.items()}
        routes |= {link: moved_route(route, x, y) for link, route in part.routes.items()}
        width = max(width, x + part.size.width)
        row_height = max(row_height, part.size.height)
        x += part.size.width + PART_GAP
    return Layout(
        Size(width, y + row_height),
        tuple(rects[node] for node in range(len(boxes))),
        tuple(routes[link] for link in range(len(wires))),
    )
