"""The shapes of a placed picture: rectangles, ports and the curves of wires."""

from typing import NamedTuple

Point = tuple[float, float]
Curve = tuple[Point, Point, Point, Point]
"""A cubic Bezier curve: start, two control points, end."""


class Size(NamedTuple):
    """How much room something needs."""

    width: int
    height: int


class WireEnd(NamedTuple):
    """One end of a wire, and the room for the words above and below it."""

    box: int
    width: int
    above: int
    below: int


class Wire(NamedTuple):
    """A wire between two boxes; ``label`` is the room for the words in its middle."""

    ends: tuple[WireEnd, WireEnd]
    label: Size


class Rect(NamedTuple):
    """A rectangle; x and y are its upper left corner."""

    x: int
    y: int
    width: int
    height: int


class Port(NamedTuple):
    """Where a wire leaves its box; ``side`` is -1 on the left, 1 on the right."""

    x: int
    y: int
    side: int


class Route(NamedTuple):
    """How a wire runs: curves with level ends, and level pieces between."""

    left: Port
    right: Port
    curves: tuple[Curve, ...]
    """In the order of the wire; what lies between one's end and the next's start is level."""
    label: Rect


class Layout(NamedTuple):
    """A placed picture, its upper left corner at 0, 0."""

    size: Size
    boxes: tuple[Rect, ...]
    routes: tuple[Route, ...]


def moved_rect(rect: Rect, x: int, y: int) -> Rect:
    """Return the rectangle, moved by x and y."""
    return rect._replace(x=rect.x + x, y=rect.y + y)


def moved_route(route: Route, x: int, y: int) -> Route:
    """Return the route, moved by x and y."""
    return Route(
        route.left._replace(x=route.left.x + x, y=route.left.y + y),
        route.right._replace(x=route.right.x + x, y=route.right.y + y),
        tuple(
            ((ax + x, ay + y), (bx + x, by + y), (cx + x, cy + y), (dx + x, dy + y))
            for (ax, ay), (bx, by), (cx, cy), (dx, dy) in route.curves
        ),
        moved_rect(route.label, x, y),
    )
