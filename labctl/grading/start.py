"""A learner's own copy of an exercise: what to edit, and what to read."""

import os
import shutil
from collections.abc import Iterator

from labctl.errors import LabError
from labctl.grading.exercise import Exercise

WORK_FOLDER = "work"
"""Where copies go, in the current folder."""

_STARTER = "starter"
_TO_READ = ("README.md", "hints.md")
_LEFT_OUT = ("__pycache__",)


def work_folder(exercise: Exercise) -> str:
    """Return where the copy goes that nobody chose a place for."""
    return os.path.join(WORK_FOLDER, exercise.directory)


def start_exercise(exercise: Exercise, target: str) -> list[str]:
    """Copy what a learner needs into ``target``; return the files, relative to it.

    Raises ``LabError`` where one of them is there already; then nothing is copied.
    """
    if not os.path.isdir(os.path.join(exercise.folder, _STARTER)):
        raise LabError(
            f'there is nothing to start from in "{exercise.slug}"',
            where=os.path.join(exercise.folder, _STARTER),
            hint="this exercise has no starter yet",
        )
    if os.path.lexists(target) and not os.path.isdir(target):
        raise LabError(f'"{target}" is there already, and is no folder', hint="choose another name")
    sources = dict(_sources(exercise))
    taken = [name for name in sources if os.path.lexists(os.path.join(target, name))]
    if taken:
        raise LabError(
            f"{_named(taken)} there already, and nothing is overwritten",
            where=target,
            hint=f"labctl start {exercise.slug} OTHER-FOLDER makes a second copy",
        )
    for name, source in sources.items():
        copy = os.path.join(target, name)
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        shutil.copy(source, copy, follow_symlinks=False)
        if not os.path.islink(copy):
            # The bundled exercises may be read-only; a copy is there to be edited.
            os.chmod(copy, os.stat(copy).st_mode | 0o200)
    return list(sources)


def _sources(exercise: Exercise) -> Iterator[tuple[str, str]]:
    """Yield where each file goes, and where it comes from."""
    for name in _TO_READ:
        if os.path.isfile(source := os.path.join(exercise.folder, name)):
            yield name, source
    starter = os.path.join(exercise.folder, _STARTER)
    for folder, subfolders, names in os.walk(starter):
        # A link to a folder is copied as the link that it is.
        links = [name for name in subfolders if os.path.islink(os.path.join(folder, name))]
        subfolders[:] = sorted(set(subfolders) - set(links) - set(_LEFT_OUT))
        for name in sorted([*names, *links]):
            source = os.path.join(folder, name)
            yield os.path.relpath(source, starter), source


def _named(taken: list[str]) -> str:
    words = [f'"{name}"' for name in taken]
    if len(words) == 1:
        return f"{words[0]} is"
    return f"{', '.join(words[:-1])} and {words[-1]} are"
