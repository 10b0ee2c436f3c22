from itertools import pairwise

from labctl.observe.graph_columns import Graph
from labctl.observe.graph_geometry import Port, Rect, Size, Wire, WireEnd
from labctl.observe.graph_part import PlacedPart, place_part

LABEL = Size(80, 20)


def placed(count: int, pairs: list[tuple[int, int]], label: Size = LABEL) -> PlacedPart:
    wires = [
        Wire((WireEnd(one, 80, 15, 15), WireEnd(two, 60, 15, 15)), label) for one, two in pairs
    ]
    boxes = [Size(100, 60)] * count
    return place_part(Graph(count, pairs), list(range(count)), boxes, wires)


def test_a_pair_has_a_level_wire_from_side_to_side_with_its_label_in_the_middle() -> None:
    part = placed(2, [(0, 1)])
    left, right = part.rects[0], part.rects[1]
    route = part.routes[0]
    assert route.left == Port(left.x + left.width, route.right.y, 1)
    assert route.right == Port(right.x, route.left.y, -1)
    assert left.x + left.width + 80 <= route.label.x
    assert route.label.x + route.label.width <= right.x - 60
    assert abs(route.label.y + route.label.height / 2 - route.left.y) <= 1


def test_the_first_box_touches_the_edges_of_the_picture() -> None:
    part = placed(2, [(0, 1)])
    assert part.rects[0] == Rect(0, 0, 100, 60)
    assert part.size == Size(part.rects[1].x + 100, 60)


def test_a_link_inside_a_column_bends_out_beside_it_and_not_behind_the_boxes() -> None:
    part = placed(3, [(0, 1), (1, 2), (2, 0)])
    (turn,) = (route for route in part.routes.values() if route.left.side == route.right.side)
    edge = turn.left.x
    assert turn.label.x > edge
    assert turn.label.x + turn.label.width <= part.size.width


def test_labels_between_two_columns_do_not_hide_each_other() -> None:
    part = placed(2, [(0, 1)] * 6)
    tops = sorted(route.label.y for route in part.routes.values())
    assert all(below - above >= 20 for above, below in pairwise(tops))


def test_wires_without_labels_need_less_room() -> None:
    pairs = [(0, 1)]
    assert placed(2, pairs, Size(0, 0)).size.width < placed(2, pairs).size.width
