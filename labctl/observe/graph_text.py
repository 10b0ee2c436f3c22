"""A lab for a terminal: every node with its interfaces, their addresses and where they lead."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from labctl.observe.graph_columns import Graph
from labctl.observe.graph_facts import (
    NodeFacts,
    facts,
    headline,
    kind_words,
    link_labels,
    node_lines,
)
from labctl.topology.model import Topology

WIDEST_CHAIN = 100


class _Signs(NamedTuple):
    between: str
    last: str
    beside: str
    wire: str


_BOX_SIGNS = _Signs("├─", "└─", "│", "──")
_ASCII_SIGNS = _Signs("|-", "`-", "|", "--")


def draw_text(topology: Topology, *, ascii_only: bool = False) -> str:
    """Return the picture; ``ascii_only`` is for terminals that cannot show box drawing signs."""
    signs = _ASCII_SIGNS if ascii_only else _BOX_SIGNS
    return "\n".join([*_lines(topology, signs), ""])


def _lines(topology: Topology, signs: _Signs) -> Iterator[str]:
    labels = link_labels(topology)
    ipv6 = topology.uses_ipv6()
    yield f"{topology.name}: {headline(topology)}"
    yield from _chain_lines(topology, labels, signs)
    ends = [end for link in topology.links for end in (link.left, link.right)]
    name_width = max((len(end.interface) for end in ends), default=0)
    address_width = max((len(word) for end in ends for word in end.addresses), default=0)
    peer_width = max((len(f"{end.node}:{end.interface}") for end in ends), default=0)
    for fact in facts(topology):
        yield ""
        yield f"{fact.node.name}  {kind_words(fact.node, ipv6=ipv6)}"
        for line in node_lines(fact):
            yield f"{signs.beside if fact.interfaces else ' '}    {line}"
        yield from _interface_lines(fact, labels, signs, (name_width, address_width, peer_width))


def _chain_lines(topology: Topology, labels: list[tuple[str, ...]], signs: _Signs) -> Iterator[str]:
    """Yield a lab that is one chain as it would be drawn by hand, if it fits into a terminal."""
    if not topology.links:
        return
    number = {node.name: index for index, node in enumerate(topology.nodes)}
    ends = [(number[link.left.node], number[link.right.node]) for link in topology.links]
    wires = {frozenset(pair): label for pair, label in zip(ends, labels, strict=True)}
    graph = Graph(len(topology.nodes), ends)
    parts = graph.parts(range(len(topology.nodes)))
    chain = graph.chain(parts[0]) if len(parts) == 1 else []
    words = [topology.nodes[node].name for node in chain[:1]]
    for one, other in pairwise(chain):
        # The first subnet is enough here: all of them stand at the interfaces below.
        words += [signs.wire, *wires[frozenset((one, other))][:1], signs.wire]
        words += [topology.nodes[other].name]
    line = " ".join(words).replace(f"{signs.wire} {signs.wire}", signs.wire * 2)
    if line and len(line) <= WIDEST_CHAIN:
        yield ""
        yield f"  {line}"


def _interface_lines(
    fact: NodeFacts, labels: list[tuple[str, ...]], signs: _Signs, widths: tuple[int, int, int]
) -> Iterator[str]:
    name_width, address_width, peer_width = widths
    for number, (end, peer, link) in enumerate(fact.interfaces, 1):
        last = number == len(fact.interfaces)
        words = [
            signs.last if last else signs.between,
            end.interface.ljust(name_width),
            *([(end.addresses or ("",))[0].ljust(address_width)] if address_width else []),
            signs.wire,
            f"{peer.node}:{peer.interface}".ljust(peer_width),
            "  ".join(labels[link]),
        ]
        yield " ".join(words).rstrip()
        for address in end.addresses[1:]:
            yield f"{' ' if last else signs.beside}  {'':{name_width}} {address}"
