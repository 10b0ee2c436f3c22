"""What the checks of an exercise are called, read from their source without running it."""

import ast
import os
from typing import NamedTuple

from labctl.errors import LabError
from labctl.grading.exercise import Exercise
from labctl.topology.words import quoted, suggestion


class CheckSource(NamedTuple):
    """What the source of a check says of it."""

    name: str
    title: str
    """Its docstring's first paragraph; empty where it has none."""
    lab: str
    """Of its own, where it has one."""


def checks_of(exercise: Exercise) -> list[CheckSource]:
    """Return the checks in the order of the files; those of a file that is not Python are missing."""
    found = []
    for name in _files(exercise.checks_folder):
        try:
            with open(os.path.join(exercise.checks_folder, name), "rb") as file:
                tree = ast.parse(file.read())
        except (OSError, SyntaxError, ValueError):
            # Running it will say what is wrong, and whose fault that is.
            continue
        found += [
            CheckSource(node.name, first_paragraph(ast.get_docstring(node)), _lab(node))
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        ]
    return found


def chosen_checks(exercise: Exercise, words: list[str]) -> tuple[str, ...]:
    """Return the names of the checks that a user asks for: by name, or by words of their title.

    ``test_`` may be left out. Raises ``LabError`` for one that there is not.
    """
    checks = checks_of(exercise)
    names = [check.name for check in checks]
    chosen = []
    for word in words:
        named = [name for name in (word, f"test_{word}") if name in names]
        wanted = word.casefold()
        titled = [check.name for check in checks if wanted and wanted in check.title.casefold()]
        if not named and not titled:
            raise LabError(
                f"there is no check {quoted(word)} in {exercise.directory}",
                hint=suggestion(word, names, kind="its checks are")
                or f"{exercise.directory} has no checks",
            )
        chosen += named[:1] or titled
    return tuple(dict.fromkeys(chosen))


def first_paragraph(docstring: str | None) -> str:
    """Return what a learner reads of a docstring, in one line."""
    return " ".join((docstring or "").strip().partition("\n\n")[0].split())


def _files(folder: str) -> list[str]:
    try:
        return sorted(
            name for name in os.listdir(folder) if name.startswith("test_") and name.endswith(".py")
        )
    except OSError:
        return []


def _lab(function: ast.FunctionDef) -> str:
    """Return what ``@pytest.mark.lab("NAME")`` says."""
    for mark in function.decorator_list:
        match mark:
            case ast.Call(func=ast.Attribute(attr="lab"), args=[ast.Constant(value=str(name)), *_]):
                return name
            case _:
                pass
    return ""
