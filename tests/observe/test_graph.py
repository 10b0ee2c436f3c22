import subprocess
import sys

import pytest

from labctl.observe.graph import FORMATS, PictureFormat, draw
from tests.observe.graph_labs import lab, node, two_clients

STARTS = {
    "text": "two_clients: 3 nodes",
    "svg": "<svg ",
    "mermaid": "flowchart LR\n",
    "dot": 'graph "two_clients" {\n',
    "json": "{\n",
}


@pytest.mark.parametrize("picture_format", FORMATS)
def test_every_format_is_drawn_and_ends_its_last_line(picture_format: PictureFormat) -> None:
    picture = draw(two_clients(), picture_format)
    assert picture.startswith(STARTS[picture_format])
    assert picture.endswith("\n")


@pytest.mark.parametrize("picture_format", FORMATS)
def test_any_stream_can_take_the_picture_if_it_has_to(picture_format: PictureFormat) -> None:
    assert draw(lab("köln", [node("größe")]), picture_format, ascii_only=True).isascii()


@pytest.mark.parametrize("picture_format", FORMATS)
def test_a_lab_without_nodes_is_an_empty_picture_and_not_a_crash(
    picture_format: PictureFormat,
) -> None:
    assert draw(lab("empty", []), picture_format).endswith("\n")


@pytest.mark.slow
def test_a_text_does_not_pay_for_the_layout_of_a_picture() -> None:
    source = (
        "import sys; from labctl.observe.graph import draw;"
        "from labctl.topology.model import Topology;"
        "draw(Topology('x', (), (), ()), 'text');"
        "sys.exit('labctl.observe.graph_layout' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", source], check=False).returncode == 0
