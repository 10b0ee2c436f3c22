import shutil
import subprocess

import pytest

from labctl.observe.graph_dot import draw_dot
from labctl.topology.model import Endpoint, Link, Node, Program, Topology
from tests.observe.graph_labs import SHAPES, dual_stack, two_clients

needs_graphviz = pytest.mark.skipif(
    shutil.which("dot") is None, reason="dot(1) is not installed: apt-get install graphviz"
)

SMALL_SHAPES = {name: shape for name, shape in SHAPES.items() if len(shape.nodes) < 30}

HOSTILE = Topology(
    'a "lab" \\n',
    (Node("end", "host", "<b>&", (), ()), Node("a.b-c", "bridge", "graph", (), ())),
    (Link(Endpoint("end", "e:0", (), ""), Endpoint("a.b-c", "p'1\"", (), ""), 1280),),
    (Program('x<y>&"z"\'', "end", ("x",), "", 1.0),),
)


def graphviz(source: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["dot", *options], input=source, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.slow
@needs_graphviz
@pytest.mark.parametrize(
    "topology", [*SMALL_SHAPES.values(), HOSTILE], ids=[*SMALL_SHAPES, "hostile names"]
)
def test_graphviz_draws_it_without_a_warning(topology: Topology) -> None:
    done = graphviz(draw_dot(topology), "-Tplain")
    assert (done.returncode, done.stderr) == (0, "")
    kinds = [line.split()[0] for line in done.stdout.splitlines()]
    assert kinds.count("node") == len(topology.nodes)
    assert kinds.count("edge") == len(topology.links)


@pytest.mark.slow
@needs_graphviz
def test_graphviz_shows_the_words() -> None:
    done = graphviz(draw_dot(dual_stack()), "-Tsvg")
    assert done.returncode == 0
    for word in ("fd00:1::2/64", "10.0.1.0/24", "mtu 1400", "eth1", "gateway 10.0.1.1"):
        assert f">{word}</text>" in done.stdout


def test_wires_end_at_the_interfaces_and_not_at_the_node() -> None:
    drawing = draw_dot(two_clients())
    assert '  n0:i0 -- n1:i0 [label="10.0.1.0/24"]\n' in drawing
    assert '  n2:i0 -- n1:i1 [label="10.0.2.0/24"]\n' in drawing


def test_names_are_escaped_for_the_place_they_stand_in() -> None:
    drawing = draw_dot(HOSTILE)
    assert drawing.startswith('graph "a \\"lab\\" \\\\n" {')
    assert "runs x&lt;y&gt;&amp;&quot;z&quot;&#x27;" in drawing
