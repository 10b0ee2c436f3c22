"""Finds the program that a name on the command line or in a lab file means."""

import os
import shutil
import sys
from collections.abc import Iterator

from labctl.errors import LabError

_PYTHON = ".py"


def find_program(name: str, search_path: list[str]) -> list[str]:
    """Return the beginning of the command line that runs a program.

    ``name`` is a path, or a name that is looked for as ``NAME`` (executable) and ``NAME.py`` in
    each folder of ``search_path``, then among the reference programs of the exercises there, and
    last on ``$PATH``. Raises ``LabError`` where there is none.
    """
    if "/" in name:
        if not os.path.isfile(name):
            raise LabError(f'there is no program "{name}"', hint="is the path right?")
        return _command(os.path.abspath(name))
    for folder in _folders(search_path):
        for candidate in (f"{folder}/{name}", f"{folder}/{name}{_PYTHON}"):
            if os.path.isfile(candidate) and (
                candidate.endswith(_PYTHON) or os.access(candidate, os.X_OK)
            ):
                return _command(os.path.abspath(candidate))
    if shutil.which(name):
        return [name]
    raise _not_found(name, search_path)


def known_programs(search_path: list[str]) -> list[str]:
    """Return the names of the exercises' reference programs."""
    names = {
        entry.removesuffix(_PYTHON)
        for folder in _reference_folders(search_path)
        for entry in os.listdir(folder)
        if os.access(f"{folder}/{entry}", os.X_OK) and os.path.isfile(f"{folder}/{entry}")
    }
    return sorted(names)


def _folders(search_path: list[str]) -> Iterator[str]:
    yield from search_path
    yield from _reference_folders(search_path)


def _reference_folders(search_path: list[str]) -> Iterator[str]:
    for folder in search_path:
        exercises = f"{folder}/exercises"
        if os.path.isdir(exercises):
            for exercise in sorted(os.listdir(exercises)):
                if os.path.isdir(reference := f"{exercises}/{exercise}/reference"):
                    yield reference


def _command(path: str) -> list[str]:
    if path.endswith(_PYTHON):
        # The interpreter that runs labctl: the one on PATH may be another, or lie where the
        # user of a rootless lab may not go.
        return [sys.executable, path]
    if not os.access(path, os.X_OK):
        raise LabError(f'"{path}" is not executable', hint=f"chmod +x {path}")
    return [path]


def _not_found(name: str, search_path: list[str]) -> LabError:
    from difflib import get_close_matches

    known = known_programs(search_path)
    near = get_close_matches(name, known, n=1)
    hint = f'did you mean "{near[0]}"?' if near else f"the exercises' programs: {' '.join(known)}"
    return LabError(f'there is no program "{name}"', hint=hint)
