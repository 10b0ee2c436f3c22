import re

import pytest

from labctl.observe.graph_mermaid import draw_mermaid
from labctl.topology.model import Node, Program, Topology
from tests.observe.graph_labs import SHAPES, dual_stack, lab, lan, link, node, two_clients


def test_the_lab_of_the_first_lesson() -> None:
    drawing, _, styles = draw_mermaid(two_clients()).partition("  classDef")
    assert (
        drawing
        == """\
flowchart LR
  subgraph n0 ["client1 (host)<br>netns ns_client1"]
    direction TB
    n0_i0["veth_c1<br>10.0.1.2/24"]
    n0_lo(("lo<br>127.0.0.1/8"))
    n0_gw["default gateway 10.0.1.1"]
  end
  subgraph n1 ["server (router)<br>netns ns_server"]
    direction TB
    n1_i0["veth_srv_c1<br>10.0.1.1/24"]
    n1_i1["veth_srv_c2<br>10.0.2.1/24"]
    n1_lo(("lo<br>127.0.0.1/8"))
    n1_fw["IPv4 forwarding on"]
    n1_p0(["time_server (udp/8080)"])
  end
  subgraph n2 ["client2 (host)<br>netns ns_client2"]
    direction TB
    n2_i0["veth_c2<br>10.0.2.2/24"]
    n2_lo(("lo<br>127.0.0.1/8"))
    n2_gw["default gateway 10.0.2.1"]
  end
  n0_i0 <-->|"10.0.1.0/24"| n1_i0
  n2_i0 <-->|"10.0.2.0/24"| n1_i1
"""
    )
    assert "  class n0,n2 host\n" in styles


def test_names_that_mermaid_would_read_as_its_own_words_stay_inside_quotes() -> None:
    topology = lab("x", [node("end"), node("a.b-c")], [link("end:style", "a.b-c:click")])
    ids = set(re.findall(r"^ +(?:subgraph )?(\w+) ?[\[(]", draw_mermaid(topology), re.MULTILINE))
    assert ids == {"n0", "n0_i0", "n0_lo", "n1", "n1_i0", "n1_lo"}


def test_signs_with_a_meaning_in_mermaid_are_written_as_codes() -> None:
    program = Program('say "hi"; #1 <b>', "a", ("x",), "", 1.0)
    drawing = draw_mermaid(Topology("x", (Node("a", "host", "a", (), ()),), (), (program,)))
    assert '(["say #34;hi#34;#59; #35;1 #60;b#62;"])' in drawing


def test_a_link_without_subnet_has_no_empty_label() -> None:
    assert "  n1_i0 <--> n0_i0\n" in draw_mermaid(lan(1))


def test_both_protocols_are_named_where_both_are_used() -> None:
    drawing = draw_mermaid(dual_stack())
    assert 'n1_fw["IPv4 and IPv6 forwarding on"]' in drawing
    assert 'n0_lo(("lo<br>127.0.0.1/8<br>::1/128"))' in drawing


@pytest.mark.parametrize("topology", SHAPES.values(), ids=SHAPES)
def test_every_id_is_declared_once_before_it_is_used(topology: Topology) -> None:
    declared: list[str] = []
    for line in draw_mermaid(topology).splitlines():
        used = re.fullmatch(r'  (\w+) <-->(?:\|".*"\|)? (\w+)', line)
        listed = re.fullmatch(r"  class (\S+) \w+", line)
        if used:
            assert set(used.groups()) <= set(declared)
        elif listed:
            assert set(listed[1].split(",")) <= set(declared)
        elif match := re.match(r" +(?:subgraph )?(\w+) ?[\[(]", line):
            declared.append(match[1])
    assert len(declared) == len(set(declared))
    assert len(declared) >= len(topology.nodes) + 2 * len(topology.links)


@pytest.mark.parametrize("topology", SHAPES.values(), ids=SHAPES)
def test_every_subgraph_is_closed(topology: Topology) -> None:
    lines = [line.strip() for line in draw_mermaid(topology).splitlines()]
    opened = [line for line in lines if line.startswith("subgraph ")]
    assert len(opened) == lines.count("end") == len(topology.nodes)
