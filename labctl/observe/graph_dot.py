"""A lab in the language of Graphviz: each node a table, each interface a cell with a port."""

from collections.abc import Iterator
from html import escape

from labctl.observe.graph_facts import (
    NodeFacts,
    facts,
    kind_words,
    link_labels,
    node_lines,
)
from labctl.topology.model import Topology

_COLOURS = {"host": "#2563a8", "router": "#2e7d32", "bridge": "#b26a00"}
_FILLS = {"host": "#f5f9ff", "router": "#f3faf3", "bridge": "#fff8ec"}


def draw_dot(topology: Topology) -> str:
    """Return the graph; ``dot``, ``neato`` and ``fdp`` all draw it."""
    return "\n".join([*_lines(topology), ""])


def _lines(topology: Topology) -> Iterator[str]:
    yield f"graph {_quoted(topology.name)} {{"
    yield '  graph [fontname="Helvetica"]'
    yield f"  label={_quoted(topology.name)} labelloc=t rankdir=LR ranksep=1 bgcolor=white"
    yield '  node [shape=plain fontname="Helvetica"]'
    yield '  edge [fontname="Courier" fontsize=11]'
    ipv6 = topology.uses_ipv6()
    ports: dict[tuple[str, str], str] = {}
    for index, fact in enumerate(facts(topology)):
        for number, interface in enumerate(fact.interfaces):
            ports[interface.end.node, interface.end.interface] = f"n{index}:i{number}"
        yield f"  n{index} [label=<{_table(fact, ipv6=ipv6)}>]"
    for link, label in zip(topology.links, link_labels(topology), strict=True):
        left, right = (ports[end.node, end.interface] for end in link[:2])
        words = f" [label={_quoted(*label)}]" if label else ""
        yield f"  {left} -- {right}{words}"
    yield "}"


def _table(fact: NodeFacts, *, ipv6: bool) -> str:
    kind = fact.node.kind
    small = [kind_words(fact.node, ipv6=ipv6), *node_lines(fact)]
    lines = [
        f"<B>{escape(fact.node.name)}</B>",
        *(f'<FONT POINT-SIZE="11">{escape(line)}</FONT>' for line in small),
    ]
    cells = "".join(
        f'<TR><TD PORT="i{number}" BGCOLOR="white"><FONT FACE="Courier" POINT-SIZE="11">'
        + "<BR/>".join(escape(word) for word in (interface.end.interface, *interface.end.addresses))
        + "</FONT></TD></TR>"
        for number, interface in enumerate(fact.interfaces)
    )
    style = ' STYLE="ROUNDED"' if kind == "host" else ""
    return (
        f'<TABLE BORDER="{3 if kind == "bridge" else 2}" COLOR="{_COLOURS[kind]}" '
        f'BGCOLOR="{_FILLS[kind]}" CELLBORDER="1" CELLSPACING="4" CELLPADDING="4"{style}>'
        f'<TR><TD BORDER="0">{"<BR/>".join(lines)}</TD></TR>{cells}</TABLE>'
    )


def _quoted(*lines: str) -> str:
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'
