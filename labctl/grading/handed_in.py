"""What was handed in, as a learning platform exports it: folders, files, archives."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from typing import NamedTuple

from labctl.errors import LabError, LabErrors
from labctl.grading.archive import archive_ending, unpack
from labctl.grading.exercise import Exercise
from labctl.grading.text import printable

_LONGEST_NAME = 180
_OF_THE_SYSTEM = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")


class HandedIn(NamedTuple):
    """One submission, before anything of it was looked at."""

    name: str
    """Printable, and without a slash: it also names the folder of the results."""
    path: str


def find_handed_in(paths: Sequence[str]) -> list[HandedIn]:
    """Return the submissions in the order given.

    Raises ``LabErrors`` with every path that is not there, and every name that two would have.
    """
    problems = []
    found: dict[str, HandedIn] = {}
    for path in paths:
        if not os.path.exists(path):
            problems.append(
                LabError(f'there is no submission "{printable(path)}"', hint="is the path right?")
            )
            continue
        submission = HandedIn(_name(path), path)
        other = found.setdefault(submission.name, submission)
        if other is not submission:
            problems.append(
                LabError(
                    f'"{printable(other.path)}" and "{printable(path)}" would both be called '
                    f'"{submission.name}"',
                    hint="rename one of them, or grade them into two folders (--out)",
                )
            )
    if problems:
        raise LabErrors(problems)
    return list(found.values())


def _name(path: str) -> str:
    name = os.path.basename(os.path.abspath(path))
    if os.path.isfile(path) and (ending := archive_ending(name)):
        name = name[: -len(ending)]
    name = printable(name).replace("\n", "\\n") or "submission"
    if name in (".", ".."):
        name = f"submission{name}"
    # A file's name may have 255 bytes, and escapes make it longer.
    if len(name.encode()) > _LONGEST_NAME:
        start = name.encode()[:_LONGEST_NAME].decode(errors="ignore")
        name = f"{start}…{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return name


def open_handed_in(submission: HandedIn, exercise: Exercise, scratch: str) -> str:
    """Return a folder with the submission's programs, unpacked or copied to ``scratch`` if need be.

    Raises ``LabError`` for an archive that is damaged or not safe.
    """
    folder = submission.path
    if os.path.isfile(folder):
        place = os.path.join(scratch, "unpacked")
        _take(folder, exercise, place)
        folder = place
    entries = _entries(folder)
    if (
        len(entries) == 1
        and archive_ending(entries[0].name)
        and entries[0].is_file(follow_symlinks=False)
    ):
        # A platform's folder for one learner, with the archive in it that was uploaded.
        folder = os.path.join(scratch, "inner")
        unpack(entries[0].path, folder)
    entries = _entries(folder)
    if len(entries) == 1 and entries[0].is_dir(follow_symlinks=False):
        return entries[0].path
    return folder


def _take(file: str, exercise: Exercise, target: str) -> None:
    if archive_ending(file):
        unpack(file, target)
        return
    os.makedirs(target)
    copy = os.path.join(target, _program_file(os.path.basename(file), exercise))
    shutil.copyfile(file, copy)
    os.chmod(copy, 0o755)


def _program_file(name: str, exercise: Exercise) -> str:
    """Return the name that a single file gets: platforms put the learner's name before it."""
    ending = os.path.splitext(name)[1]
    if len(exercise.programs) == 1 and ending in ("", ".py"):
        return next(iter(exercise.programs)) + ending
    return name


def _entries(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [entry for entry in entries if entry.name not in _OF_THE_SYSTEM]
