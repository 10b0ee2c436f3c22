import re
from collections.abc import Iterator
from functools import cache
from xml.etree import ElementTree

import pytest

from labctl.observe.graph_svg import draw_svg
from labctl.topology.model import Node, Program, Topology
from tests.observe.graph_labs import SHAPES, lab, node, star, two_clients

NAMESPACE = "{http://www.w3.org/2000/svg}"
LETTER_WIDTH = 0.602 * 11
"""The advance of DejaVu Sans Mono, the widest of the monospaced fonts asked for."""

SHOWN = {name: shape for name, shape in SHAPES.items() if len(shape.nodes) < 30}

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@cache
def parsed(topology: Topology) -> ElementTree.Element:
    return ElementTree.fromstring(draw_svg(topology))


def elements(root: ElementTree.Element, style: str) -> Iterator[ElementTree.Element]:
    return (element for element in root.iter() if style in element.get("class", "").split())


def texts(root: ElementTree.Element, style: str) -> list[str]:
    return ["".join(element.itertext()) for element in elements(root, style)]


def text_box(element: ElementTree.Element) -> Box:
    width = len("".join(element.itertext())) * LETTER_WIDTH
    x, y = float(element.attrib["x"]), float(element.attrib["y"])
    left = {"start": x, "middle": x - width / 2, "end": x - width}[
        element.get("text-anchor", "start")
    ]
    return left, y - 8.5, left + width, y + 2


def outline(element: ElementTree.Element) -> Box:
    """Return what a node's outline covers, whether rectangle or path."""
    if element.tag == f"{NAMESPACE}rect":
        x, y, width, height = (float(element.attrib[key]) for key in ("x", "y", "width", "height"))
        return x, y, x + width, y + height
    x, y, *moves = (float(word) for word in re.findall(r"-?[\d.]+", element.attrib["d"]))
    width, corner, _, height = moves[:4]
    return x - corner, y, x + width + corner, y + height + 2 * corner


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@pytest.mark.parametrize("topology", SHAPES.values(), ids=SHAPES)
def test_every_node_interface_and_address_is_there(topology: Topology) -> None:
    root = parsed(topology)
    ends = [end for link in topology.links for end in link[:2]]
    assert texts(root, "name") == [node.name for node in topology.nodes]
    assert sorted(texts(root, "interface")) == sorted(end.interface for end in ends)
    assert sorted(texts(root, "address")) == sorted(word for end in ends for word in end.addresses)
    assert {f"netns {node.netns}" for node in topology.nodes} <= set(texts(root, "small"))
    assert len(list(elements(root, "wire"))) == len(topology.links)


@pytest.mark.parametrize("topology", SHAPES.values(), ids=SHAPES)
def test_boxes_and_the_words_at_wires_lie_beside_each_other(topology: Topology) -> None:
    root = parsed(topology)
    boxes = [outline(element) for element in elements(root, "box")]
    assert len(boxes) == len(topology.nodes)
    words = [text_box(e) for style in ("interface", "address") for e in elements(root, style)]
    solid = [*boxes, *words]
    for number, one in enumerate(solid):
        assert not [other for other in solid[number + 1 :] if overlap(one, other)]


@pytest.mark.parametrize("topology", SHOWN.values(), ids=SHOWN)
def test_subnets_hide_no_box_and_no_word(topology: Topology) -> None:
    root = parsed(topology)
    labels = [outline(element) for element in elements(root, "label")]
    subnets = [text_box(element) for element in elements(root, "subnet")]
    solid = [
        *(outline(element) for element in elements(root, "box")),
        *(text_box(e) for style in ("interface", "address") for e in elements(root, style)),
    ]
    for label in (*labels, *subnets):
        assert not [other for other in solid if overlap(label, other)]
    for number, label in enumerate(labels):
        assert not [other for other in labels[number + 1 :] if overlap(label, other)]


@pytest.mark.parametrize("topology", SHAPES.values(), ids=SHAPES)
def test_the_words_in_a_box_stay_in_it(topology: Topology) -> None:
    for group in elements(parsed(topology), "node"):
        (box,) = (outline(element) for element in elements(group, "box"))
        for element in elements(group, "small"):
            left, top, right, bottom = text_box(element)
            assert box[0] < left
            assert right < box[2]
            assert box[1] < top
            assert bottom < box[3]


@pytest.mark.parametrize("topology", SHAPES.values(), ids=SHAPES)
def test_everything_is_inside_the_page(topology: Topology) -> None:
    root = parsed(topology)
    _, _, width, height = (float(word) for word in root.attrib["viewBox"].split())
    (group,) = (e for e in root if e.get("transform", "").startswith("translate"))
    left, top = (float(word) for word in re.findall(r"[\d.]+", group.attrib["transform"]))
    inside = [
        *(outline(element) for element in elements(group, "box")),
        *(text_box(e) for style in ("small",) for e in elements(group, style)),
    ]
    for wire in elements(group, "wire"):
        numbers = [float(word) for word in re.findall(r"-?[\d.]+", wire.attrib["d"])]
        # The control points of a turn lie beyond its curve: only what is drawn has to be inside.
        inside.append((numbers[0], min(numbers[1::2]), numbers[-2], max(numbers[1::2])))
    for box in inside:
        assert box[0] + left >= 0
        assert box[1] + top >= 0
        assert box[2] + left <= width
        assert box[3] + top <= height


def test_kinds_differ_by_word_and_by_outline() -> None:
    root = parsed(lab("kinds", [node("a"), node("b", "router"), node("c", "bridge")]))
    assert texts(root, "kind") == ["host", "router, forwards IPv4", "switch"]
    host, router, switch = elements(root, "box")
    assert (host.tag, router.tag, switch.tag) == tuple(
        f"{NAMESPACE}{tag}" for tag in ("rect", "path", "rect")
    )
    assert (host.get("stroke-dasharray"), switch.get("stroke-dasharray")) == (None, "9 3")
    assert len({element.attrib["d"] for element in elements(root, "symbol")}) == 3


def test_gateway_program_and_subnet_are_shown() -> None:
    root = parsed(two_clients())
    assert {"gateway 10.0.1.1", "runs time_server (udp/8080)"} <= set(texts(root, "small"))
    assert texts(root, "subnet") == ["10.0.1.0/24", "10.0.2.0/24"]


def test_the_page_is_white_and_asks_for_nothing_from_elsewhere() -> None:
    picture = draw_svg(two_clients())
    root = ElementTree.fromstring(picture)
    (page,) = elements(root, "page")
    assert page.attrib["fill"] == "#ffffff"
    assert (page.attrib["width"], page.attrib["height"]) == (
        root.attrib["width"],
        root.attrib["height"],
    )
    assert picture.count("http") == 1  # the name of the XML namespace
    assert not re.search(r"<script|<image|<foreignObject|@import|url\(|href", picture)


def test_names_that_are_markup_are_shown_and_not_obeyed() -> None:
    name = "</style><script>&\"'\x07"
    topology = Topology(
        name,
        (Node("a", "host", "<b>", (), ()),),
        (),
        (Program("]]><x/>", "a", ("x",), "", 1.0),),
    )
    root = parsed(topology)
    assert texts(root, "title")[0].startswith("</style><script>&\"'?")
    assert "netns <b>" in texts(root, "small")
    assert "runs ]]><x/>" in texts(root, "small")


@pytest.mark.slow
def test_a_thousand_nodes_are_drawn_whole() -> None:
    root = parsed(star(1000))
    assert len(list(elements(root, "box"))) == 1001
    assert len(list(elements(root, "wire"))) == 1000
