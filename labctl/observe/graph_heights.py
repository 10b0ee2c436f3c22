"""How high everything in one connected part stands: boxes, lanes and the ends of wires.

Wires have a slot each on the left or right side of a box, as high as the words at their end, so
those words never lie on other words or other wires' ends.
"""

from collections.abc import Sequence
from itertools import pairwise

from labctl.observe.graph_columns import Graph, Seating, seat
from labctl.observe.graph_geometry import Size, Wire, WireEnd

BOX_GAP = 24
SLOT_GAP = 8
LANE_HEIGHT = 10
TALL = 900
"""Where a hub's leaves would be higher than this, they are spread over several columns."""
SWEEPS = 6


class Heights:
    """The heights of one connected part; y grows downwards, from anywhere."""

    def __init__(
        self, graph: Graph, part: list[int], boxes: Sequence[Size], wires: Sequence[Wire]
    ) -> None:
        self.boxes = boxes
        self.wires = {link: wires[link] for link in graph.links_of(part)}

        def spread(hub: int, leaves: list[int]) -> int:
            leaf_height = sum(boxes[leaf].height + BOX_GAP for leaf in leaves)
            hub_height = sum(
                _slot_height(end)
                for leaf in leaves
                for link in graph.touching[leaf]
                for end in wires[link].ends
                if end.box == hub
            )
            return -(-leaf_height // max(TALL, hub_height))

        self.seating: Seating = seat(graph, part, spread)
        self.numbers = sorted(self.seating.columns)
        self.column: dict[int, int] = {}
        self.place: dict[int, int] = {}
        for number, vertices in self.seating.columns.items():
            for place, vertex in enumerate(vertices):
                self.column[vertex], self.place[vertex] = number, place
        self.nodes = set(part)
        self.side: dict[tuple[int, int], int] = {}
        self.offset: dict[tuple[int, int], int] = {}
        """Height of a wire's end (link, 0 or 1) below the middle of its box."""
        self.height: dict[int, int] = {}
        self._slots()
        self.middle: dict[int, float] = {}
        self._settle()

    def _slots(self) -> None:
        """Give every wire end a slot on a side of its box, in the order that avoids crossings."""
        waiting: dict[tuple[int, int], list[tuple[tuple[int, int, int], int, int]]] = {}
        for link, path in self.seating.paths.items():
            for which in (0, 1):
                box, following = (path[0], path[1]) if which == 0 else (path[-1], path[-2])
                step = self.column[following] - self.column[box]
                side = step or self.seating.turns[link]
                place = self.place[following]
                # A turn to a box above or below nests inside the turns that go further.
                order = (1, place, link)
                if step == 0 and place < self.place[box]:
                    order = (0, -place, link)
                elif step == 0 and place > self.place[box]:
                    order = (2, -place, -link)
                self.side[link, which] = side
                waiting.setdefault((box, side), []).append((order, link, which))
        self.height = {node: (self.boxes[node].height + 1) // 2 * 2 for node in self.nodes}
        for (box, _), ends in waiting.items():
            slots = [_slot_height(self.wires[link].ends[which]) for _, link, which in ends]
            # Even, so that the middle is a whole number and level wires are exactly level.
            self.height[box] = max(self.height[box], (sum(slots) + SLOT_GAP + 1) // 2 * 2)
        for ends in waiting.values():
            ends.sort()
            y = -sum(_slot_height(self.wires[link].ends[which]) for _, link, which in ends) // 2
            for _, link, which in ends:
                end = self.wires[link].ends[which]
                self.offset[link, which] = y + SLOT_GAP // 2 + end.above
                y += _slot_height(end)

    def _settle(self) -> None:
        """Give every box and lane a height that makes its wires as straight as may be."""
        pulls: dict[int, list[tuple[int, float]]] = {vertex: [] for vertex in self.column}
        for link, path in self.seating.paths.items():
            offsets = [self.offset[link, 0], *([0] * (len(path) - 2)), self.offset[link, 1]]
            for place in range(len(path) - 1):
                one, other = path[place], path[place + 1]
                if self.column[one] != self.column[other]:
                    shift = offsets[place] - offsets[place + 1]
                    pulls[other].append((one, shift))
                    pulls[one].append((other, -shift))
        for vertices in self.seating.columns.values():
            self._stack(vertices, [0.0] * len(vertices))
        outward = sorted(self.numbers, key=abs)
        for sweep in range(2 * SWEEPS):
            inward = sweep % 2
            for number in outward[::-1] if inward else outward:
                targets = []
                for vertex in self.seating.columns[number]:
                    wanted = [
                        self.middle[other] + shift
                        for other, shift in pulls[vertex]
                        if (abs(self.column[other]) > abs(number)) == bool(inward)
                    ]
                    targets.append(sum(wanted) / len(wanted) if wanted else self.middle[vertex])
                self._stack(self.seating.columns[number], targets)

    def _stack(self, vertices: list[int], targets: list[float]) -> None:
        """Put each vertex as near to its target as those above and below allow.

        Least squares with an order to keep: the pool adjacent violators algorithm.
        """
        distance = [0.0]
        for above, below in pairwise(vertices):
            distance.append(distance[-1] + self._distance(above, below))
        pools: list[tuple[float, int]] = []
        for target, down in zip(targets, distance, strict=True):
            total, count = target - down, 1
            while pools and pools[-1][0] * count >= total * pools[-1][1]:
                more, many = pools.pop()
                total, count = total + more, count + many
            pools.append((total, count))
        tops = [total / count for total, count in pools for _ in range(count)]
        for vertex, top, down in zip(vertices, tops, distance, strict=True):
            self.middle[vertex] = top + down

    def _distance(self, above: int, below: int) -> float:
        both_boxes = above in self.nodes and below in self.nodes
        gap = BOX_GAP if both_boxes else BOX_GAP / 2
        return (self._height(above) + self._height(below)) / 2 + gap

    def _height(self, vertex: int) -> int:
        return self.height.get(vertex, LANE_HEIGHT)

    def rounded(self, vertex: int) -> int:
        """Return the middle of a box or lane."""
        return round(self.middle[vertex])

    def port_y(self, link: int, which: int) -> int:
        """Return the height at which a wire meets its box."""
        return self.rounded(self.wires[link].ends[which].box) + self.offset[link, which]


def _slot_height(end: WireEnd) -> int:
    return end.above + end.below + SLOT_GAP
