"""The ``rules`` of a lab file: exact faults, each at the end of a link that sends the packets."""

from collections.abc import Iterable

from labctl.errors import LabErrors
from labctl.topology.model import Topology
from labctl.topology.problems import Problems
from labctl.topology.rule_directions import place_rules
from labctl.topology.rule_reader import read_rules
from labctl.topology.rules import RuleFile
from labctl.topology.tree import Value

KEY = "rules"


def read_lab_rules(tree: Value, problems: Problems) -> RuleFile:
    """Return the rules as far as they can be understood, but for what is no direction."""
    file = read_rules(tree, (KEY,), problems)
    understood = (each for each in file.directions if _is_direction(each.direction))
    return file._replace(directions=tuple(understood))


def _is_direction(text: str) -> bool:
    ends = text.split("->")
    return len(ends) == 2 and all(ends)


def with_rules(
    topology: Topology, file: RuleFile, keys: Iterable[str], problems: Problems
) -> Topology:
    """Return the lab with its rules; those that have no place in it go to ``problems``.

    ``keys`` are the directions as they stand in the file.
    """
    try:
        placed = place_rules(file, topology)
    except LabErrors as errors:
        lines = {problems.line((KEY, key), of_key=True) for key in keys}
        by_place = {problems.where(line): line for line in lines}
        for error in errors.problems:
            problems.add_at_line(by_place[error.where], error.problem, error.hint)
        return topology
    links = list(topology.links)
    for one in placed:
        link = links[one.link]
        if one.is_from_left:
            links[one.link] = link._replace(left=link.left._replace(rules=one.rules))
        else:
            links[one.link] = link._replace(right=link.right._replace(rules=one.rules))
    return topology._replace(links=tuple(links), seed=file.seed)
