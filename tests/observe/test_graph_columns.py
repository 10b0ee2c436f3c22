from itertools import combinations

from labctl.observe.graph_columns import Graph, Seating, seat


def seated(count: int, links: list[tuple[int, int]], *, columns_for_leaves: int = 1) -> Seating:
    graph = Graph(count, links)
    return seat(graph, list(range(count)), lambda _hub, _leaves: columns_for_leaves)


def test_two_nodes_stand_side_by_side() -> None:
    assert seated(2, [(0, 1)]).columns == {0: [0], 1: [1]}


def test_half_the_branches_of_a_tree_go_left_in_the_order_of_the_file() -> None:
    star = seated(5, [(2, node) for node in (0, 1, 3, 4)])
    assert star.columns == {-1: [0, 1], 0: [2], 1: [3, 4]}


def test_a_chain_of_five_is_one_row() -> None:
    chain = seated(5, [(0, 1), (1, 2), (2, 3), (3, 4)])
    assert chain.columns == {-2: [0], -1: [1], 0: [2], 1: [3], 2: [4]}


def test_a_longer_chain_turns_back_at_the_end_of_its_row() -> None:
    chain = seated(6, [(number, number + 1) for number in range(5)])
    assert chain.columns == {0: [0, 5], 1: [1, 4], 2: [2, 3]}
    assert chain.turns == {2: 1}


def test_the_middle_of_a_tree_is_where_its_largest_branch_is_smallest() -> None:
    # A hub (0) with five leaves, and a tail of four nodes: the hub stays the middle.
    links = [(0, leaf) for leaf in range(1, 6)] + [(0, 6), (6, 7), (7, 8), (8, 9)]
    assert seated(10, links).columns[0] == [0]


def test_the_order_of_the_file_reads_from_left_to_right() -> None:
    # The left router (0), the right one (1), then the hosts of the left and of the right one.
    columns = seated(6, [(0, 1), (0, 2), (0, 3), (1, 4), (1, 5)]).columns
    assert columns == {-1: [2, 3], 0: [0], 1: [1], 2: [4, 5]}


def test_a_branch_is_never_torn_apart() -> None:
    # A ring of four with a leaf at its first node: the ring is one branch and stays on one side.
    columns = seated(5, [(0, 1), (1, 2), (2, 3), (3, 0), (0, 4)]).columns
    column = {node: number for number, nodes in columns.items() for node in nodes}
    assert column[1] == column[3]
    assert column[0] < column[1] < column[2] or column[0] > column[1] > column[2]


def test_links_join_neighbouring_columns_or_turn_inside_one() -> None:
    links = [(0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (4, 0), (1, 4)]
    mesh = seated(5, links)
    column = {node: number for number, nodes in mesh.columns.items() for node in nodes}
    for number, (left, right) in enumerate(links):
        assert abs(column[left] - column[right]) == (number not in mesh.turns)


def test_leaves_that_are_spread_are_reached_through_lanes() -> None:
    star = seated(7, [(0, leaf) for leaf in range(1, 7)], columns_for_leaves=3)
    assert star.columns[-3][0] == 3
    assert star.paths[2][0] == 0
    assert star.paths[2][-1] == 3
    lanes = star.paths[2][1:-1]
    assert len(lanes) == 2
    assert lanes[0] in star.columns[-1]
    assert lanes[1] in star.columns[-2]


def crossings(seating: Seating, links: list[tuple[int, int]]) -> int:
    column = {node: number for number, nodes in seating.columns.items() for node in nodes}
    place = {node: index for nodes in seating.columns.values() for index, node in enumerate(nodes)}
    spans = [sorted(link, key=lambda node: column[node]) for link in links]
    return sum(
        column[a] == column[c] and (place[a] - place[c]) * (place[b] - place[d]) < 0
        for (a, b), (c, d) in combinations(spans, 2)
    )


def test_neighbours_pull_a_layer_into_an_order_without_crossings() -> None:
    # In the order of the file, the links of node 4 would cross those of 2 and 3.
    links = [(0, 1), (0, 2), (0, 3), (0, 4), (1, 5), (4, 5), (2, 6), (3, 6), (1, 7), (2, 7)]
    mesh = seated(8, links)
    assert sorted(mesh.columns[1]) == [1, 2, 3, 4]
    assert crossings(mesh, links) == 0


def test_a_node_without_links_is_a_part_of_its_own() -> None:
    assert Graph(4, [(0, 3)]).parts(range(4)) == [[0, 3], [1], [2]]


def test_a_ring_is_no_chain_and_a_chain_starts_at_its_first_end() -> None:
    assert Graph(3, [(0, 1), (1, 2), (2, 0)]).chain([0, 1, 2]) == []
    assert Graph(3, [(1, 0), (0, 2)]).chain([0, 1, 2]) == [1, 0, 2]
    assert Graph(2, [(0, 1), (0, 1)]).chain([0, 1]) == []
