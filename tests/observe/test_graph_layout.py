from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.observe.graph_geometry import Layout, Port, Rect, Size, Wire, WireEnd
from labctl.observe.graph_layout import lay_out

LABEL = Size(80, 19)


def wires(*pairs: tuple[int, int]) -> list[Wire]:
    return [Wire((WireEnd(one, 90, 15, 15), WireEnd(two, 70, 15, 30)), LABEL) for one, two in pairs]


def boxes(count: int) -> list[Size]:
    return [Size(100 + 10 * (number % 5), 70 + 15 * (number % 3)) for number in range(count)]


def overlap(one: Rect, other: Rect) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def words_of(end: WireEnd, port: Port) -> Rect:
    left = port.x if port.side > 0 else port.x - end.width
    return Rect(left, port.y - end.above, end.width, end.above + end.below)


def points_of(layout: Layout, link: int) -> Iterator[tuple[float, float]]:
    """Yield points along a wire, close together."""
    route = layout.routes[link]
    corners: list[tuple[float, float]] = [(route.left.x, route.left.y)]
    for curve in route.curves:
        for step in range(21):
            t = step / 20
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
            corners.append(
                (
                    sum(w * point[0] for w, point in zip(weights, curve, strict=True)),
                    sum(w * point[1] for w, point in zip(weights, curve, strict=True)),
                )
            )
    corners.append((route.right.x, route.right.y))
    for (ax, ay), (bx, by) in pairwise(corners):
        for step in range(9):
            yield ax + (bx - ax) * step / 8, ay + (by - ay) * step / 8


def check_readable(layout: Layout, drawn: Sequence[Wire]) -> None:
    """Demand all that a picture promises, whatever its shape."""
    words = [
        words_of(end, port)
        for wire, route in zip(drawn, layout.routes, strict=True)
        for end, port in zip(wire.ends, (route.left, route.right), strict=True)
    ]
    solid = [*layout.boxes, *words]
    page = Rect(0, 0, *layout.size)
    for number, one in enumerate(solid):
        assert one.x >= page.x
        assert one.y >= page.y
        assert one.x + one.width <= page.width
        assert one.y + one.height <= page.height
        assert not [other for other in solid[number + 1 :] if overlap(one, other)]
    for link in range(len(drawn)):
        others = [*layout.boxes, *words[: 2 * link], *words[2 * link + 2 :]]
        for x, y in points_of(layout, link):
            assert 0 <= x <= page.width
            assert 0 <= y <= page.height
            assert not [
                rect
                for rect in others
                if rect.x < x < rect.x + rect.width and rect.y < y < rect.y + rect.height
            ]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    count = draw(st.integers(1, 16))
    place = st.integers(0, count - 1)
    return count, draw(st.lists(st.tuples(place, place), max_size=24))


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(graphs())
def test_nothing_lies_on_anything_whatever_the_graph(
    graph: tuple[int, list[tuple[int, int]]],
) -> None:
    count, pairs = graph
    drawn = wires(*pairs)
    check_readable(lay_out(boxes(count), drawn), drawn)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60))
def test_nothing_lies_on_anything_in_any_tree(parents: list[int]) -> None:
    drawn = wires(*((child, parent % child) for child, parent in enumerate(parents, 1)))
    check_readable(lay_out(boxes(len(parents) + 1), drawn), drawn)


@pytest.mark.slow
def test_a_hub_with_very_many_leaves_spreads_them_over_columns() -> None:
    drawn = wires(*((leaf, 0) for leaf in range(1, 151)))
    layout = lay_out(boxes(151), drawn)
    check_readable(layout, drawn)
    assert len({box.x for box in layout.boxes}) > 3


def test_the_same_graph_is_always_placed_the_same() -> None:
    drawn = wires((0, 1), (1, 2), (2, 0), (2, 3))
    assert lay_out(boxes(4), drawn) == lay_out(boxes(4), drawn)


def test_a_short_chain_is_one_level_row_in_its_order() -> None:
    layout = lay_out(boxes(4), wires((0, 1), (1, 2), (2, 3)))
    assert [box.x for box in layout.boxes] == sorted(box.x for box in layout.boxes)
    assert all(route.left.y == route.right.y for route in layout.routes)


def test_a_long_chain_is_folded_so_that_it_is_not_a_ribbon() -> None:
    layout = lay_out(boxes(20), wires(*((number, number + 1) for number in range(19))))
    assert len({box.x for box in layout.boxes}) == 5
    assert len({box.y for box in layout.boxes}) >= 4


def test_the_hub_of_a_star_stands_between_its_leaves() -> None:
    hub, *leaves = lay_out(boxes(6), wires(*((0, leaf) for leaf in range(1, 6)))).boxes
    assert [leaf.x < hub.x for leaf in leaves] == [True, True, False, False, False]


def test_wires_of_a_tree_do_not_cross() -> None:
    pairs = [(0, 1), (0, 2), (1, 3), (1, 4), (2, 5), (2, 6), (5, 7), (5, 8), (4, 9)]
    layout = lay_out(boxes(10), wires(*pairs))
    between: dict[tuple[float, float], list[tuple[float, float]]] = {}
    for route in layout.routes:
        for start, _, _, end in route.curves:
            (ax, ay), (bx, by) = sorted((start, end))
            between.setdefault((ax, bx), []).append((ay, by))
    for heights in between.values():
        heights.sort()
        assert [right for _, right in heights] == sorted(right for _, right in heights)


def test_parts_without_a_link_between_them_are_not_stacked_into_a_tower() -> None:
    layout = lay_out(boxes(12), [])
    assert layout.size.width > layout.size.height


def test_nothing_to_draw_needs_no_room() -> None:
    assert lay_out([], []) == Layout(Size(0, 0), (), ())
