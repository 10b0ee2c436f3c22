"""Which column of the picture each node stands in, and in what order from top to bottom.

Labs are mostly trees and chains, drawn here like a mind map: the middle node in the middle,
branches to its left and right. Every other shape is layered by its distance from the middle, and
each layer is ordered by the mean place of its neighbours (the barycentre method of Sugiyama,
Tagawa and Toda, "Methods for visual understanding of hierarchical system structures", 1981).
A link joins neighbouring columns or stays in one, so no link ever runs behind a box. A force
directed placement cannot promise that, and the words at the link ends need it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import isqrt

LONGEST_ROW = 5
"""Nodes of a chain in one row before it is folded like a snake."""


@dataclass
class Seating:
    """The columns of one connected part; a vertex that is no node is a lane a long link runs in."""

    columns: dict[int, list[int]] = field(default_factory=dict)
    """Column number to vertices, from top to bottom."""
    paths: dict[int, list[int]] = field(default_factory=dict)
    """Link to the vertices it passes, its two ends included."""
    turns: dict[int, int] = field(default_factory=dict)
    """Link inside one column to the side on which it leaves: -1 left, 1 right."""


class Graph:
    """Nodes and links as numbers."""

    def __init__(self, node_count: int, links: Sequence[tuple[int, int]]) -> None:
        self.links = links
        self.node_count = node_count
        self.touching: list[list[int]] = [[] for _ in range(node_count)]
        self.neighbours: list[list[int]] = [[] for _ in range(node_count)]
        for index, (left, right) in enumerate(links):
            self.touching[left].append(index)
            if left != right:
                self.touching[right].append(index)
        for node in range(node_count):
            found = {end for link in self.touching[node] for end in links[link]}
            self.neighbours[node] = sorted(found - {node})

    def parts(self, nodes: Iterable[int]) -> list[list[int]]:
        """Return the connected parts of the graph that these nodes form, each sorted."""
        left = set(nodes)
        parts = []
        for start in sorted(left):
            if start not in left:
                continue
            left.discard(start)
            part = [start]
            for node in part:
                for other in self.neighbours[node]:
                    if other in left:
                        left.discard(other)
                        part.append(other)
            parts.append(sorted(part))
        return parts

    def chain(self, part: list[int]) -> list[int]:
        """Return the nodes of a connected part from end to end; none if it is not a chain."""
        most = max(len(self.neighbours[node]) for node in part)
        if most > 2 or len(self.links_of(part)) != len(part) - 1:
            return []
        nodes = [min(node for node in part if len(self.neighbours[node]) < 2)]
        for node in nodes:
            nodes += [other for other in self.neighbours[node] if other not in nodes[-2:]]
        return nodes

    def links_of(self, nodes: Iterable[int]) -> list[int]:
        """Return the links of these nodes, in the order of the lab file."""
        return sorted({link for node in nodes for link in self.touching[node]})


def seat(graph: Graph, part: list[int], spread: Callable[[int, list[int]], int]) -> Seating:
    """Return the columns of one connected part.

    ``spread(hub, leaves)`` says over how many columns these leaves of a hub are spread.
    """
    seating = Seating()
    chain = graph.chain(part)
    if len(chain) > LONGEST_ROW:
        column = _fold(chain)
        for node in column:
            seating.columns.setdefault(column[node], []).append(node)
        for link in graph.links_of(part):
            left, right = graph.links[link]
            seating.paths[link] = [left, right]
            if column[left] == column[right]:
                seating.turns[link] = 1 if column[left] else -1
        return seating
    root, parent = _middle(graph, part)
    side = _sides(graph, part, root)
    column = _columns(graph, root, parent, side, spread)
    if _runs_backwards(column):
        column = {node: -number for node, number in column.items()}
    _take_seats(graph, root, parent, column, seating)
    for link in graph.links_of(part):
        left, right = graph.links[link]
        if column[left] == column[right]:
            seating.turns[link] = -1 if column[left] < 0 else 1
    if len(graph.links_of(part)) >= len(part):
        _order_by_barycentre(seating)
    return seating


def _fold(chain: list[int]) -> dict[int, int]:
    """Return the column of each node, in the order in which the chain runs."""
    rows = -(-len(chain) // max(LONGEST_ROW, isqrt(len(chain) * 2 // 5)))
    width = -(-len(chain) // rows)
    column = {}
    for place, node in enumerate(chain):
        row, step = divmod(place, width)
        column[node] = width - 1 - step if row % 2 else step
    return column


def _middle(graph: Graph, part: list[int]) -> tuple[int, dict[int, int]]:
    """Return the node with the smallest largest branch, and every other node's parent from there.

    In a graph with cycles, branches are those of a tree of shortest paths.
    """
    path = _longest_path(graph, _longest_path(graph, part[0])[0])
    order, parent = _walk(graph, min(path[(len(path) - 1) // 2], path[len(path) // 2]))
    size = dict.fromkeys(order, 1)
    largest = dict.fromkeys(order, 0)
    for node in reversed(order[1:]):
        size[parent[node]] += size[node]
        largest[parent[node]] = max(largest[parent[node]], size[node])
    root = min(order, key=lambda node: (max(largest[node], len(part) - size[node]), node))
    return root, _walk(graph, root)[1]


def _longest_path(graph: Graph, start: int) -> list[int]:
    """Return the way back from the node farthest from ``start``, the first of several such."""
    order, parent = _walk(graph, start)
    depth = {start: 0}
    for node in order[1:]:
        depth[node] = depth[parent[node]] + 1
    path = [max(order, key=lambda node: (depth[node], -node))]
    while path[-1] in parent:
        path.append(parent[path[-1]])
    return path


def _walk(graph: Graph, start: int) -> tuple[list[int], dict[int, int]]:
    order = [start]
    parent: dict[int, int] = {}
    seen = {start}
    for node in order:
        for other in graph.neighbours[node]:
            if other not in seen:
                seen.add(other)
                parent[other] = node
                order.append(other)
    return order, parent


def _sides(graph: Graph, part: list[int], root: int) -> dict[int, int]:
    """Return -1 or 1 for every node: whole branches go left until both sides weigh the same."""
    branches = graph.parts(node for node in part if node != root)
    total = sum(len(branch) for branch in branches)
    weights = [0]
    for branch in branches:
        weights.append(weights[-1] + len(branch))
    on_the_left = min(range(len(weights)), key=lambda count: abs(total - 2 * weights[count]))
    if len(branches) < 2:
        on_the_left = 0
    return {
        node: -1 if number < on_the_left else 1
        for number, branch in enumerate(branches)
        for node in branch
    }


def _columns(
    graph: Graph,
    root: int,
    parent: dict[int, int],
    side: dict[int, int],
    spread: Callable[[int, list[int]], int],
) -> dict[int, int]:
    column = {root: 0}
    leaves: dict[tuple[int, int], list[int]] = {}
    for node, above in parent.items():
        column[node] = column[above] + side[node]
        if graph.neighbours[node] == [above]:
            leaves.setdefault((above, side[node]), []).append(node)
    for (hub, direction), those in leaves.items():
        over = spread(hub, those)
        for place, leaf in enumerate(those):
            column[leaf] = column[hub] + direction * (1 + place % over)
    return column


def _runs_backwards(column: dict[int, int]) -> bool:
    """Whether nodes that come late in the lab file stand rather left than right."""
    middle = sum(column) / len(column)
    return sum(number * (node - middle) for node, number in column.items()) < 0


def _take_seats(
    graph: Graph, root: int, parent: dict[int, int], column: dict[int, int], seating: Seating
) -> None:
    """Fill the columns from top to bottom, a branch at a time, so that trees have no crossings."""
    children: dict[int, list[int]] = {}
    for node, above in parent.items():
        children.setdefault(above, []).append(node)
    lane = graph.node_count
    waiting = [root]
    while waiting:
        node = waiting.pop()
        waiting += sorted(children.get(node, []), reverse=True)
        for link in graph.touching[node]:
            left, right = graph.links[link]
            start, end = column[left], column[right]
            if link in seating.paths or abs(column[node]) < max(abs(start), abs(end)):
                # A long link takes its lanes when its leaf is seated, to lie next to it.
                continue
            between = range(start, end, 1 if end > start else -1)[1:]
            path = [left]
            for number in between:
                seating.columns.setdefault(number, []).append(lane)
                path.append(lane)
                lane += 1
            seating.paths[link] = [*path, right]
        seating.columns.setdefault(column[node], []).append(node)


def _order_by_barycentre(seating: Seating) -> None:
    beside: dict[int, list[int]] = {}
    for path in seating.paths.values():
        for one, other in pairwise(path):
            beside.setdefault(one, []).append(other)
            beside.setdefault(other, []).append(one)
    numbers = sorted(seating.columns)
    column = {vertex: number for number in numbers for vertex in seating.columns[number]}
    outward = sorted(numbers, key=abs)
    for sweep in (outward, outward[::-1]) * 4:
        for number in sweep:
            place = {
                vertex: index / len(seating.columns[near])
                for near in (number - 1, number, number + 1)
                for index, vertex in enumerate(seating.columns.get(near, []))
            }
            mean: dict[int, float] = {}
            for vertex in seating.columns[number]:
                near_places = [
                    place[other] for other in beside.get(vertex, []) if column[other] != number
                ]
                mean[vertex] = sum(near_places) / len(near_places) if near_places else place[vertex]
            seating.columns[number].sort(key=lambda vertex: mean[vertex])
