"""The filters of rules become functions, with every problem at once."""

from collections.abc import Iterable

from labctl.errors import LabError, LabErrors
from labctl.kernel.pcap import Matches, compile_filter
from labctl.topology.rules import Rule, RuleFile


def compile_filters(rules: Iterable[Rule]) -> dict[str, Matches]:
    """Return a function for each filter text of the rules; the empty one matches every frame.

    Raises ``LabErrors`` with each filter that does not parse, at the place of its rule, and
    ``LabError`` where the machine cannot compile filters at all.
    """
    filters: dict[str, Matches] = {"": lambda frame: True}
    found: list[LabError] = []
    broken: set[str] = set()
    for rule in rules:
        for text in (rule.match, rule.until):
            if text in filters or text in broken:
                continue
            try:
                filters[text] = compile_filter(text, where=rule.where)
            except LabError as error:
                if error.exit_code != 2:  # the machine's fault: it would be the same for each
                    raise
                broken.add(text)
                found.append(error)
    if found:
        raise LabErrors(found)
    return filters


def check_filters(file: RuleFile) -> None:
    """Raise what ``compile_filters`` raises for the rules of a whole file."""
    compile_filters(rule for direction in file.directions for rule in direction.rules)
