"""A lab file becomes a topology: template, YAML, shape, meaning; no cache."""

from collections.abc import Mapping

from labctl.errors import LabError
from labctl.topology.copies import as_copy
from labctl.topology.find import is_template_path, read_lab_file
from labctl.topology.model import Topology
from labctl.topology.problems import Place, Problems
from labctl.topology.resolve import resolve
from labctl.topology.salvage import fit
from labctl.topology.tree import Value, read_tree
from labctl.topology.words import quoted

MOST_NODES = 4096
MOST_LINKS = 4 * MOST_NODES


def load_topology_uncached(
    path: str, parameters: Mapping[str, str], instance: str = ""
) -> Topology:
    """Return the lab of the file, under the name ``instance`` if one is given.

    Raises ``LabErrors`` with everything that is wrong with it, or ``LabError`` where the file
    cannot be read at all.
    """
    return as_copy(parse_topology(read_lab_file(path), path, parameters), instance)


def parse_topology(content: bytes, path: str, parameters: Mapping[str, str]) -> Topology:
    """Return the lab that the content of a file describes; ``path`` is for errors only."""
    text = _decoded(content, path)
    is_template = is_template_path(path)
    if is_template:
        text = _rendered(text, parameters, path)
    elif parameters:
        name = next(iter(parameters))
        raise LabError(
            f"the lab has no parameter {quoted(name)}",
            where=f"{path}:1",
            hint="only templates, whose names end in .yaml.j2, take parameters",
        )
    problems = Problems(path, rendered=is_template)
    tree = read_tree(text, problems)
    _spread_node_list(tree, problems)
    _check_size(tree, problems)
    return resolve(fit(tree, problems), problems)


def _decoded(content: bytes, path: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise LabError(
            "the lab file is not UTF-8 text",
            where=f"{path}:{line}",
            hint="save it as UTF-8 in your editor",
        ) from None


def _rendered(text: str, parameters: Mapping[str, str], path: str) -> str:
    # Imported here because a plain file should not pay for it: 40 ms.
    from labctl.topology.template import render

    return render(text, parameters, path)


def _spread_node_list(tree: Value, problems: Problems) -> None:
    """Turn ``nodes: [client, server]`` into the mapping it stands for."""
    if not isinstance(tree, dict) or not isinstance(names := tree.get("nodes"), list):
        return
    place = problems.places.inside["nodes"]
    nodes: dict[str, Value] = {}
    places: dict[str | int, Place] = {}
    for position, name in enumerate(names):
        line = place.inside[position].line
        if not isinstance(name, str):
            problems.add_at_line(
                line,
                "an entry of the list of nodes is not a name",
                "a node with settings needs the long form, `NAME: {...}` under `nodes:`",
            )
        elif name in nodes:
            problems.add_at_line(
                line,
                f"the node {quoted(name)} is listed again, after line {places[name].line}",
                "give it another name",
            )
        else:
            nodes[name] = None
            places[name] = place.inside[position]
    tree["nodes"] = nodes
    problems.places.inside["nodes"] = place._replace(inside=places)


def _check_size(tree: Value, problems: Problems) -> None:
    for key, most in (("nodes", MOST_NODES), ("links", MOST_LINKS)):
        values = tree.get(key) if isinstance(tree, dict) else None
        if isinstance(values, list | dict) and len(values) > most:
            problems.add(
                (key,),
                f"the lab has {len(values)} {key}, and at most {most} can be built",
                "is a number in it too large?",
                of_key=True,
            )
            problems.raise_all()
