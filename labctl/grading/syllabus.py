"""Finds exercises by name: in the current folder, in ``$LABCTL_PATH``, then the bundled ones."""

import os
from collections.abc import Sequence

from labctl.errors import LabError
from labctl.grading.exercise import FILE, Exercise, load_exercise, slug_of
from labctl.topology.words import listed, nearest


def find_exercise(name: str, search_path: Sequence[str]) -> Exercise:
    """Return the exercise of that name: ``udp-time``, ``03-udp-time``, ``3`` or a folder's path.

    Raises ``LabError`` with the nearest name where there is none.
    """
    if "/" in name or name in (".", ".."):
        return load_exercise(name)
    folders = exercise_folders(search_path)
    for folder in folders:
        if name in (os.path.basename(folder), slug_of(os.path.basename(folder))):
            return load_exercise(folder)
    numbered = [folder for folder in folders if _is_number_of(name, os.path.basename(folder))]
    if len(numbered) == 1:
        return load_exercise(numbered[0])
    if numbered:
        raise LabError(
            f"several exercises have the number {name}",
            hint=f"which one: {listed([os.path.basename(folder) for folder in numbered])}?",
        )
    slugs = [slug_of(os.path.basename(folder)) for folder in folders]
    if not slugs:
        raise LabError(
            f'there is no exercise "{name}"',
            hint="there are none in ./exercises, nor in $LABCTL_PATH",
        )
    close = nearest(name, slugs)
    raise LabError(
        f'there is no exercise "{name}"',
        hint=f'did you mean "{close}"? `labctl start` lists them all'
        if close
        else f"the exercises are: {listed(slugs, most=100)}",
    )


def _is_number_of(name: str, directory: str) -> bool:
    number = directory.partition("-")[0]
    return name.isdecimal() and number.isdecimal() and int(name) == int(number)


def exercise_folders(search_path: Sequence[str]) -> list[str]:
    """Return the folders of all exercises in teaching order; a nearer one hides its namesake."""
    found: dict[str, str] = {}
    for place in search_path:
        exercises = os.path.join(place, "exercises")
        try:
            names = sorted(os.listdir(exercises))
        except OSError:
            continue
        for name in names:
            if os.path.isfile(os.path.join(exercises, name, FILE)):
                found.setdefault(slug_of(name), os.path.join(exercises, name))
    return sorted(found.values(), key=lambda folder: (os.path.basename(folder), folder))
