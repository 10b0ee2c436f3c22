"""Where the boxes and wires of one connected part lie, in whole units of the picture.

Every wire leaves its box level, to the left or the right, and stays level for as long as the words
at its end need; it bends in the room left between the columns, and only there.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from labctl.observe.graph_columns import Graph
from labctl.observe.graph_geometry import (
    Curve,
    Port,
    Rect,
    Route,
    Size,
    Wire,
    moved_rect,
    moved_route,
)
from labctl.observe.graph_heights import Heights

STUB = 8
"""What a wire stays level beyond its words."""
LEAST_BEND = 44
MOST_BEND = 170
LABEL_MARGIN = 12
TURN_STEP = 22


class PlacedPart(NamedTuple):
    """One connected part, its upper left corner at 0, 0."""

    size: Size
    rects: dict[int, Rect]
    routes: dict[int, Route]


class _Gutter(NamedTuple):
    """The room between two columns: words, bends, words. All are x coordinates."""

    start: int
    bend_start: int
    bend_end: int
    end: int


def place_part(
    graph: Graph, part: list[int], boxes: Sequence[Size], wires: Sequence[Wire]
) -> PlacedPart:
    """Return a place for every box and wire of one connected part."""
    heights = Heights(graph, part, boxes, wires)
    columns = heights.seating.columns
    widths = {
        number: max((boxes[v].width for v in vertices if v in heights.nodes), default=0)
        for number, vertices in columns.items()
    }
    gutters = _gutters(heights, widths)
    rects = {
        node: Rect(
            gutters[heights.column[node] - 1].end,
            heights.rounded(node) - heights.height[node] // 2,
            widths[heights.column[node]],
            heights.height[node],
        )
        for node in part
    }
    routes = dict(_routes(heights, gutters))
    top = min(rect.y for rect in rects.values())
    bottom = max(rect.y + rect.height for rect in rects.values())
    # A wire to a lane may run above the highest box.
    for route in routes.values():
        for curve in route.curves:
            top = min([top, *(int(y) for _, y in curve)])
            bottom = max([bottom, *(int(y) for _, y in curve)])
        if route.label.height:
            top = min(top, route.label.y)
            bottom = max(bottom, route.label.y + route.label.height)
    return PlacedPart(
        Size(max(gutter.end for gutter in gutters.values()), bottom - top),
        {node: moved_rect(rect, 0, -top) for node, rect in rects.items()},
        {link: moved_route(route, 0, -top) for link, route in routes.items()},
    )


def _gutters(heights: Heights, widths: dict[int, int]) -> dict[int, _Gutter]:
    """Return the gutter to the right of each column, and the one before the first."""
    first, last = min(widths), max(widths)
    words = {(number, side): 0 for number in range(first - 1, last + 2) for side in (-1, 1)}
    bend = dict.fromkeys(range(first - 1, last + 1), 0)
    for link, wire in heights.wires.items():
        path = heights.seating.paths[link]
        for which, end in enumerate(wire.ends):
            key = heights.column[end.box], heights.side[link, which]
            words[key] = max(words[key], end.width + STUB)
        if link in heights.seating.turns:
            number = heights.column[path[0]] - (heights.seating.turns[link] < 0)
            bend[number] = max(bend[number], _apex(heights, link) + wire.label.width // 2 + STUB)
            continue
        ys = _heights_of(heights, link)
        for place in range(len(path) - 1):
            number = min(heights.column[path[place]], heights.column[path[place + 1]])
            slope = abs(ys[place + 1] - ys[place]) // 4
            label = wire.label.width + 2 * LABEL_MARGIN if wire.label.width else 0
            bend[number] = max(bend[number], LEAST_BEND, label, min(MOST_BEND, slope))
    gutters = {}
    x = 0
    for number in range(first - 1, last + 1):
        bend_start = x + words[number, 1]
        bend_end = bend_start + bend[number]
        gutters[number] = _Gutter(x, bend_start, bend_end, bend_end + words[number + 1, -1])
        x = gutters[number].end + widths.get(number + 1, 0)
    return gutters


def _apex(heights: Heights, link: int) -> int:
    """Return how far a turn reaches into the bends; a turn around another one reaches further."""
    path = heights.seating.paths[link]
    upper, lower = sorted(heights.place[vertex] for vertex in path)
    inner = min(lower - upper, 6)
    return heights.wires[link].label.width // 2 + TURN_STEP * (inner + 1)


def _heights_of(heights: Heights, link: int) -> list[int]:
    lanes = heights.seating.paths[link][1:-1]
    return [
        heights.port_y(link, 0),
        *(heights.rounded(lane) for lane in lanes),
        heights.port_y(link, 1),
    ]


def _routes(heights: Heights, gutters: dict[int, _Gutter]) -> Iterator[tuple[int, Route]]:
    taken: dict[int, list[Rect]] = {number: [] for number in gutters}
    for link, wire in heights.wires.items():
        path = heights.seating.paths[link]
        ys = _heights_of(heights, link)
        numbers = [heights.column[vertex] for vertex in path]
        if link in heights.seating.turns:
            side = heights.seating.turns[link]
            gutter = gutters[numbers[0] - (side < 0)]
            start = gutter.bend_start if side > 0 else gutter.bend_end
            beyond = start + side * _apex(heights, link) * 4 / 3
            curves = [((start, ys[0]), (beyond, ys[0]), (beyond, ys[-1]), (start, ys[-1]))]
            labelled, number = 0, numbers[0] - (side < 0)
        else:
            curves = []
            for place in range(len(path) - 1):
                gutter = gutters[min(numbers[place], numbers[place + 1])]
                start, end = gutter.bend_start, gutter.bend_end
                if numbers[place] > numbers[place + 1]:
                    start, end = end, start
                half = (start + end) / 2
                curves.append(
                    (
                        (start, ys[place]),
                        (half, ys[place]),
                        (half, ys[place + 1]),
                        (end, ys[place + 1]),
                    )
                )
            # The label of a wire that runs through lanes stands at its outer end: lanes are
            # narrower than words.
            labelled = 0 if abs(numbers[0]) > abs(numbers[-1]) else len(curves) - 1
            number = min(numbers[labelled], numbers[labelled + 1])
        label = _label(curves[labelled], wire.label, taken[number])
        taken[number].append(label)
        ports = [
            Port(
                gutters[numbers[end]].start
                if heights.side[link, which] > 0
                else gutters[numbers[end] - 1].end,
                ys[end],
                heights.side[link, which],
            )
            for which, end in ((0, 0), (1, -1))
        ]
        yield link, Route(ports[0], ports[1], tuple(curves), label)


def _label(curve: Curve, size: Size, taken: list[Rect]) -> Rect:
    """Return where on its curve a label lies: the middle, or near it where that is taken."""
    choices = []
    for t in (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74):
        x, y = _point(curve, t)
        rect = Rect(round(x - size.width / 2), round(y - size.height / 2), size.width, size.height)
        hidden = sum(_shared_area(rect, other) for other in taken) if size.width else 0
        if not hidden:
            return rect
        choices.append((hidden, rect))
    return min(choices, key=lambda choice: choice[0])[1]


def _point(curve: Curve, t: float) -> tuple[float, float]:
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
    return (
        sum(weight * point[0] for weight, point in zip(weights, curve, strict=True)),
        sum(weight * point[1] for weight, point in zip(weights, curve, strict=True)),
    )


def _shared_area(one: Rect, other: Rect) -> int:
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return width * height if width > 0 and height > 0 else 0
