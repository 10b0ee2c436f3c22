"""A lab as a picture, in any of the formats that labctl draws."""

from typing import Literal, get_args

from labctl.topology.model import Topology

PictureFormat = Literal["text", "svg", "mermaid", "dot", "json"]

FORMATS: tuple[PictureFormat, ...] = get_args(PictureFormat)


def draw(topology: Topology, picture_format: PictureFormat, *, ascii_only: bool = False) -> str:
    """Return the picture, its last line ended.

    ``ascii_only`` is for streams that are not UTF-8: no other sign is then used.
    """
    # Each format is imported where it is asked for: the layout is not needed for a text.
    match picture_format:
        case "text":
            from labctl.observe.graph_text import draw_text

            return _narrowed(draw_text(topology, ascii_only=ascii_only), "replace", ascii_only)
        case "svg":
            from labctl.observe.graph_svg import draw_svg

            return _narrowed(draw_svg(topology), "xmlcharrefreplace", ascii_only)
        case "mermaid":
            from labctl.observe.graph_mermaid import draw_mermaid

            return _narrowed(draw_mermaid(topology), "replace", ascii_only)
        case "dot":
            from labctl.observe.graph_dot import draw_dot

            return _narrowed(draw_dot(topology), "xmlcharrefreplace", ascii_only)
        case "json":
            from labctl.observe.graph_json import draw_json

            return draw_json(topology)


def _narrowed(text: str, errors: str, ascii_only: bool) -> str:
    return text.encode("ascii", errors).decode("ascii") if ascii_only else text
