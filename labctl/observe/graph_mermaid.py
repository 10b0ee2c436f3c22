"""A lab as a Mermaid flowchart, which GitHub and most wikis render.

Namespaces are subgraphs; their interfaces, gateways and forwarding are nodes inside, as in the
drawing of the lab text that labctl follows.
"""

from collections.abc import Iterator

from labctl.observe.graph_facts import (
    KIND_WORDS,
    NodeFacts,
    facts,
    forwarding,
    gateways,
    link_labels,
    program_words,
)
from labctl.topology.model import BRIDGE_INTERFACE, Topology

# Every class sets the colour of its text too: on a dark page the default would be light on light.
_CLASSES = {
    "host": "fill:#f5f9ff,stroke:#2563a8,color:#111,stroke-width:2px",
    "router": "fill:#f3faf3,stroke:#2e7d32,color:#111,stroke-width:2px,stroke-dasharray:6 4",
    "bridge": "fill:#fff8ec,stroke:#b26a00,color:#111,stroke-width:4px",
    "interface": "fill:#e1f0fc,stroke:#2563a8,color:#111",
    "loopback": "fill:#f3e5f5,stroke:#8e24aa,color:#111",
    "fact": "fill:#ffffff,stroke:#777,color:#111,stroke-dasharray:2 2",
    "program": "fill:#fffde7,stroke:#8d6e00,color:#111",
}


_SPECIAL = frozenset('"#&<>`\\;')


def draw_mermaid(topology: Topology) -> str:
    """Return the flowchart, ready for a Mermaid code block."""
    return "\n".join([*_lines(topology), ""])


def _lines(topology: Topology) -> Iterator[str]:
    ipv6 = topology.uses_ipv6()
    interface_ids: dict[tuple[str, str], str] = {}
    classes: dict[str, list[str]] = {name: [] for name in _CLASSES}
    yield "flowchart LR"
    for index, fact in enumerate(facts(topology)):
        # Names may hold dots and dashes, or be the word "end": only numbers make safe ids.
        box = f"n{index}"
        classes[fact.node.kind].append(box)
        title = f"{fact.node.name} ({KIND_WORDS[fact.node.kind]})"
        yield f"  subgraph {box} [{_quoted(title, f'netns {fact.node.netns}')}]"
        yield "    direction TB"
        for number, interface in enumerate(fact.interfaces):
            name = f"{box}_i{number}"
            interface_ids[interface.end.node, interface.end.interface] = name
            classes["interface"].append(name)
            yield f"    {name}[{_quoted(interface.end.interface, *interface.end.addresses)}]"
        for name, kind, opening, text, closing in _facts_inside(fact, box, ipv6=ipv6):
            classes[kind].append(name)
            yield f"    {name}{opening}{text}{closing}"
        yield "  end"
    for link, label in zip(topology.links, link_labels(topology), strict=True):
        left, right = (interface_ids[end.node, end.interface] for end in link[:2])
        wire = f"<-->|{_quoted(*label)}|" if label else "<-->"
        yield f"  {left} {wire} {right}"
    for kind, style in _CLASSES.items():
        if classes[kind]:
            yield f"  classDef {kind} {style}"
            yield f"  class {','.join(classes[kind])} {kind}"


def _facts_inside(
    fact: NodeFacts, box: str, *, ipv6: bool
) -> Iterator[tuple[str, str, str, str, str]]:
    loopback = ["127.0.0.1/8", "::1/128"] if ipv6 else ["127.0.0.1/8"]
    yield f"{box}_lo", "loopback", "((", _quoted("lo", *loopback), "))"
    if fact.node.kind == "bridge":
        yield f"{box}_br", "fact", "[", _quoted(BRIDGE_INTERFACE, *fact.segment), "]"
    vias = gateways(fact.node)
    if vias:
        yield f"{box}_gw", "fact", "[", _quoted(*(f"default gateway {via}" for via in vias)), "]"
    routes = [f"{to} via {via}" for to, via in fact.node.routes if to != "default"]
    if routes:
        yield f"{box}_rt", "fact", "[", _quoted(*routes), "]"
    protocols = forwarding(fact.node, ipv6=ipv6)
    if protocols:
        yield f"{box}_fw", "fact", "[", _quoted(f"{protocols} forwarding on"), "]"
    for number, program in enumerate(fact.programs):
        yield f"{box}_p{number}", "program", "([", _quoted(program_words(program)), "])"


def _quoted(*lines: str) -> str:
    """Return a quoted label: Mermaid writes special characters as ``#code;``."""
    return '"' + "<br>".join(_escaped(line) for line in lines) + '"'


def _escaped(text: str) -> str:
    return "".join(f"#{ord(sign)};" if sign in _SPECIAL or sign < " " else sign for sign in text)
