"""The directions of links: what one makes bad, by the words of the command line."""

from typing import NamedTuple

from labctl.errors import LabError
from labctl.topology.model import Endpoint, Link, Topology
from labctl.topology.words import listed, quoted, suggestion


class Direction(NamedTuple):
    """The frames that leave one endpoint of a link; what tc on that interface would impair."""

    link_number: int
    """Of the link in the lab file, from 0."""
    link: Link
    is_from_left: bool

    @property
    def source(self) -> Endpoint:
        """The endpoint that the frames leave."""
        return self.link.left if self.is_from_left else self.link.right

    @property
    def target(self) -> Endpoint:
        """The endpoint that they reach."""
        return self.link.right if self.is_from_left else self.link.left

    @property
    def opposite(self) -> "Direction":
        """The frames that come back."""
        return self._replace(is_from_left=not self.is_from_left)

    @property
    def name(self) -> str:
        """``client2:veth_c2->server:veth_srv_c2``."""
        return f"{_place(self.source)}->{_place(self.target)}"


def all_directions(topology: Topology) -> list[Direction]:
    """Return every direction of every link, in the order of the lab file."""
    return [
        Direction(number, link, from_left)
        for number, link in enumerate(topology.links)
        for from_left in (True, False)
    ]


def directions_from(topology: Topology, place: str) -> list[Direction]:
    """Return the direction that leaves ``NODE`` or ``NODE:INTERFACE``, in a list of its own.

    Raises ``LabError`` where there is none, or where a node has several interfaces and none is
    named.
    """
    node, colon, interface = place.partition(":")
    own = [direction for direction in all_directions(topology) if direction.source.node == node]
    nodes = [known.name for known in topology.nodes]
    if node not in nodes:
        raise LabError(
            f'the lab "{topology.name}" has no node {quoted(node)}',
            hint=suggestion(node, nodes, kind="its nodes are"),
        )
    if not own:
        raise LabError(f'node "{node}" has no links', hint="there is nothing to impair")
    if not colon and len(own) > 1:
        places = " ".join(_place(direction.source) for direction in own)
        raise LabError(f'"{node}" has several interfaces', hint=f"name one of: {places}")
    chosen = [each for each in own if not colon or each.source.interface == interface]
    if not chosen:
        raise LabError(
            f'"{node}" has no interface {quoted(interface)}',
            hint=suggestion(interface, [d.source.interface for d in own], kind="it has"),
        )
    return chosen


def directions_between(topology: Topology, words: str) -> list[Direction]:
    """Return both directions of the link ``A-B``; either end may be ``NODE:INTERFACE``.

    Raises ``LabError`` where no link, or more than one, is meant.
    """
    meant = [
        direction
        for direction in all_directions(topology)
        if direction.is_from_left and words in _names_of(direction.link)
    ]
    if not meant:
        known = [f"{link.left.node}-{link.right.node}" for link in topology.links]
        raise LabError(
            f"there is no link {quoted(words)}", hint=suggestion(words, known, kind="the links are")
        )
    if len(meant) > 1:
        places = listed(f"{_place(each.link.left)}-{_place(each.link.right)}" for each in meant)
        raise LabError(f"several links are {quoted(words)}", hint=f"name one of: {places}")
    return [meant[0], meant[0].opposite]


def _names_of(link: Link) -> set[str]:
    left, right = ((end.node, _place(end)) for end in (link.left, link.right))
    return {f"{a}-{b}" for a in left for b in right} | {f"{b}-{a}" for a in left for b in right}


def _place(end: Endpoint) -> str:
    return f"{end.node}:{end.interface}"
