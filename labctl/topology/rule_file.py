"""Rules from a file, or from the plain values of a check, in the one language of ``rule_reader``."""

from collections.abc import Mapping

from labctl.errors import LabError, LabErrors
from labctl.topology.problems import Problems
from labctl.topology.rule_reader import read_rules
from labctl.topology.rules import RuleFile
from labctl.topology.tree import Value, read_tree

_MOST_BYTES = 1_000_000
_HINT = "start with a direction, such as `client->server: [{drop: {match: udp, packets: [3]}}]`"


def load_rules(path: str) -> RuleFile:
    """Return the rules of a file. Raises ``LabErrors`` with all that is wrong with it."""
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or "not the name of a file"
        raise LabError(
            f"the rule file cannot be read: {said.lower()}",
            where=path,
            hint="--rules takes the path of a YAML file",
        ) from None
    return parse_rules(content, path)


def parse_rules(content: bytes, path: str) -> RuleFile:
    """Return the rules that the content of a file describes; ``path`` is for errors only."""
    if len(content) > _MOST_BYTES:
        raise LabError(f"the rule file has more than {_MOST_BYTES} bytes", where=path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise LabError(
            "the rule file is not UTF-8 text",
            where=f"{path}:{line}",
            hint="save it as UTF-8 in your editor",
        ) from None
    if all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines()):
        raise LabError("the rule file is empty", where=f"{path}:1", hint=_HINT)
    problems = Problems(path, rendered=False)
    rules = read_rules(read_tree(text, problems), (), problems)
    problems.raise_all()
    return rules


def rules_from(values: Mapping[str, object], where: str = "faults") -> RuleFile:
    """Return the rules that plain Python values say, as a file would with the same words.

    ``rules_from({"client->server": [{"drop": {"match": "udp", "packets": [3]}}]})``. ``where``
    names the caller in errors, which have no line.
    """
    problems = Problems(where, rendered=False)
    rules = read_rules(_as_written(values), (), problems)
    try:
        problems.raise_all()
    except LabErrors as errors:
        raise LabErrors(
            [LabError(error.problem, where=where, hint=error.hint) for error in errors.problems]
        ) from None
    return RuleFile(
        rules.seed,
        tuple(
            direction._replace(
                where=where, rules=tuple(rule._replace(where=where) for rule in direction.rules)
            )
            for direction in rules.directions
        ),
    )


def _as_written(value: object) -> Value:
    """Return the value as a file would have it, with its numbers as the text one would write."""
    match value:
        case None | str():
            return value
        case Mapping():
            return {str(key): _as_written(inner) for key, inner in value.items()}
        case list() | tuple() | range():
            return [_as_written(inner) for inner in value]
        case _:
            return str(value)
