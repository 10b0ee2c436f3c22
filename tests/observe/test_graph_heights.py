from itertools import pairwise

from labctl.observe.graph_columns import Graph
from labctl.observe.graph_geometry import Size, Wire, WireEnd
from labctl.observe.graph_heights import BOX_GAP, TALL, Heights


def heights(count: int, pairs: list[tuple[int, int]], *, below: int = 15) -> Heights:
    wires = [
        Wire((WireEnd(one, 80, 15, below), WireEnd(two, 80, 15, below)), Size(80, 20))
        for one, two in pairs
    ]
    boxes = [Size(100, 60)] * count
    return Heights(Graph(count, pairs), list(range(count)), boxes, wires)


def test_a_box_grows_with_the_words_of_its_wires() -> None:
    small = heights(4, [(0, 1), (0, 2), (0, 3)]).height[0]
    large = heights(4, [(0, 1), (0, 2), (0, 3)], below=90).height[0]
    assert large > small >= 60


def test_a_wire_between_two_boxes_is_level() -> None:
    pair = heights(2, [(0, 1)])
    assert pair.port_y(0, 0) == pair.port_y(0, 1)


def test_boxes_of_one_column_keep_their_distance() -> None:
    star = heights(7, [(0, leaf) for leaf in range(1, 7)])
    for column in star.seating.columns.values():
        for above, below in pairwise(column):
            between = star.rounded(below) - star.rounded(above)
            assert between >= (star.height[above] + star.height[below]) / 2 + BOX_GAP - 1


def test_a_parent_stands_in_the_middle_of_its_children() -> None:
    # 0 - 1, 0 - 2, and three leaves on each of these.
    pairs = [(0, 1), (0, 2), *((1, leaf) for leaf in (3, 4, 5)), *((2, leaf) for leaf in (6, 7, 8))]
    tree = heights(9, pairs)
    assert tree.rounded(1) == tree.rounded(4)
    assert tree.rounded(2) == tree.rounded(7)


def test_ports_have_the_order_of_the_boxes_they_lead_to() -> None:
    star = heights(7, [(0, leaf) for leaf in (6, 5, 4, 3, 2, 1)])
    on_one_side = [
        (star.rounded(6 - link), star.port_y(link, 0))
        for link in range(6)
        if star.column[6 - link] > 0
    ]
    assert len(on_one_side) == 3
    assert [port for _, port in sorted(on_one_side)] == sorted(port for _, port in on_one_side)


def test_a_hub_gets_no_higher_than_its_wires_need_by_spreading_its_leaves() -> None:
    star = heights(121, [(0, leaf) for leaf in range(1, 121)])
    middles = [star.rounded(node) for node in range(121)]
    assert max(middles) - min(middles) < 1.5 * max(TALL, star.height[0])
