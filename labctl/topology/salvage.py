"""What can still be understood of a lab file that does not fit the shape.

A file with an unknown key in one place and an address that stands twice in another has two
problems, and both are to be reported at once. So what does not fit is taken out, and the rest is
looked at as usual; about the nodes whose links were lost nothing is concluded.
"""

from typing import NamedTuple

from pydantic_core import ErrorDetails

from labctl.topology.problems import Loc, Problems
from labctl.topology.schema import LabShape, LinkShape, validate
from labctl.topology.tree import Value
from labctl.topology.wording import report_misfit
from labctl.topology.words import nearest


class Salvage(NamedTuple):
    """A lab file's shape, less what did not fit."""

    lab: LabShape
    links: list[tuple[int, LinkShape]]
    """The links that remain, each with its place in the file."""
    maimed: set[str]
    """Nodes that lost a link, or part of one."""


def fit(tree: Value, problems: Problems) -> Salvage:
    """Return the shape of the file. Raises ``LabErrors`` where not even the nodes are there."""
    fitted = validate(tree)
    if isinstance(fitted, LabShape):
        return Salvage(fitted, list(enumerate(fitted.links)), set())
    for error in fitted:
        report_misfit(error, problems)
    if not isinstance(tree, dict) or not isinstance(tree.get("nodes"), dict):
        problems.raise_all()
    assert isinstance(tree, dict)
    cutter = _Cutter(tree)
    for error in fitted:
        cutter.cut(error)
    rest = validate(cutter.rest())
    if not isinstance(rest, LabShape):
        problems.raise_all()
        raise AssertionError("what was taken out still does not fit")
    return Salvage(rest, list(zip(cutter.kept, rest.links, strict=True)), cutter.maimed)


class _Cutter:
    """Takes out of a file's values what does not fit, and remembers what else that concerns."""

    def __init__(self, tree: dict[str, Value]) -> None:
        self._tree = tree
        self._nodes = _mapping(tree["nodes"])
        links = tree.get("links")
        self._links = links if isinstance(links, list) else []
        self._lost_nodes: set[str] = set()
        self._lost_links: set[int] = set()
        self._maimed_links: set[int] = set()
        self._all_maimed = False

    def cut(self, error: ErrorDetails) -> None:
        """Take out the value the error is about, or the whole of which it is a needed part."""
        loc: Loc = error["loc"]
        match loc:
            case ("name",):
                # A stand-in: the problem is reported, so no lab will have this name.
                self._tree["name"] = "lab"
            case ("links", int(index)) | ("links", int(index), "endpoints", *_):
                self._lost_links.add(index)
            case ("links", int(index), str(key), *_):
                _mapping(self._links[index]).pop(key, None)
                if nearest(key, ["ipv4", "ipv6"]):
                    self._maimed_links.add(index)
            case ("nodes", str(node)):
                self._nodes[node] = {}
                self._lost_nodes.add(node)
            case ("nodes", str(node), "programs", str(program), *inside):
                programs = _mapping(_mapping(self._nodes[node])["programs"])
                _cut_program(programs, program, inside)
            case ("nodes", str(node), str(key), *_):
                _mapping(self._nodes[node]).pop(key, None)
                if nearest(key, ["kind"]):
                    self._lost_nodes.add(node)
            case ("programs", str(program), *inside):
                _cut_program(_mapping(self._tree["programs"]), program, inside)
            case (str(key),):
                self._tree.pop(key, None)
                self._all_maimed |= "links" not in self._tree
            case _:
                raise AssertionError(f"an error at {loc}")

    def rest(self) -> dict[str, Value]:
        """Return what fits."""
        return {**self._tree, "links": [self._links[index] for index in self.kept]}

    @property
    def kept(self) -> list[int]:
        """The places of the links that fit; not those of a node that may be a bridge or not."""
        return [
            index
            for index in range(len(self._links))
            if index not in self._lost_links and not self._ends(index) & self._lost_nodes
        ]

    @property
    def maimed(self) -> set[str]:
        """The nodes whose links are not all known."""
        nodes = set(self._nodes)
        gone = set(range(len(self._links))) - set(self.kept)
        ends = [self._ends(index) for index in gone | self._maimed_links]
        if self._all_maimed or not all(len(pair & nodes) == 2 for pair in ends):
            return nodes
        return {node for pair in ends for node in pair}

    def _ends(self, index: int) -> set[str]:
        link = self._links[index]
        ends = link.get("endpoints") if isinstance(link, dict) else None
        names = ends if isinstance(ends, list) else []
        return {name.partition(":")[0] for name in names if isinstance(name, str)}


def _cut_program(programs: dict[str, Value], name: str, inside: list[str | int]) -> None:
    if name not in programs:
        return
    if not inside or inside[0] == "node":
        del programs[name]
    elif inside[0] == "command":
        _mapping(programs[name])["command"] = ["true"]  # stands in for the one that was reported
    else:
        _mapping(programs[name]).pop(str(inside[0]), None)


def _mapping(value: Value) -> dict[str, Value]:
    assert isinstance(value, dict)
    return value
