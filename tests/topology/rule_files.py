"""Rule files as text, and what is said about them."""

import pytest

from labctl.errors import LabError, LabErrors
from labctl.topology.rule_file import parse_rules
from labctl.topology.rules import Rule


def rule_of(text: str) -> Rule:
    """Return the one rule of the text, which is an entry of a list, without its place."""
    file = parse_rules(f"client->server:\n  - {text}\n".encode(), "rules.yaml")
    [rule] = file.directions[0].rules
    assert rule.where == "rules.yaml:2"
    return rule._replace(where="")


def errors_of(text: str) -> list[LabError]:
    """Return what is wrong with a file."""
    try:
        parse_rules(text.encode(), "rules.yaml")
    except LabErrors as errors:
        return errors.problems
    except LabError as error:
        return [error]
    pytest.fail("nothing was found wrong")


def error_of(rule: str) -> LabError:
    """Return the one thing that is wrong with a rule."""
    [error] = errors_of(f"client->server:\n  - {rule}\n")
    return error
