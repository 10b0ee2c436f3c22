"""What an exercise has to have besides programs that do as they should: files, titles, tables."""

import ast
import os
import re
from collections.abc import Callable, Iterator, Sequence

from labctl.errors import LabError, LabErrors
from labctl.grading.exercise import FILE, Exercise, load_exercise, slug_of
from labctl.grading.mistakes import mistakes_in
from labctl.grading.source import checks_of
from labctl.programs.search import search_path
from labctl.topology.cache import load_topology
from labctl.topology.find import find_lab

_FILES = {"README.md", "design.md", "hints.md", FILE}
_FOLDERS = {"checks", "faulty", "reference", "starter"}
_DIRECTORY = re.compile(r"\d\d-[a-z0-9]+(-[a-z0-9]+)*")
_LEFT_BY_PYTHON = "__pycache__"


def content_problems(folder: str) -> list[LabError]:
    """Return what is wrong with an exercise's folder, without running anything of it."""
    try:
        exercise = load_exercise(folder)
    except LabError as error:
        return [error]
    looks: tuple[Callable[[Exercise], Iterator[LabError]], ...] = (
        _tree,
        _brief,
        _syllabus_row,
        _needs,
        _lab,
        _programs,
        _checks,
        _faulty,
    )
    return [problem for look in looks for problem in look(exercise)]


def references(exercise: Exercise) -> list[str]:
    """Return the folders with good answers: ``reference``, and others such as ``reference-c``."""
    return [
        os.path.join(exercise.folder, name)
        for name in sorted(os.listdir(exercise.folder))
        if name == "reference" or name.startswith("reference-")
    ]


def _tree(exercise: Exercise) -> Iterator[LabError]:
    if not _DIRECTORY.fullmatch(exercise.directory):
        yield LabError(
            "the folder's name is not two digits, a dash and lower-case words",
            where=exercise.folder,
            hint="as in 03-udp-time",
        )
    there = set(os.listdir(exercise.folder)) - {_LEFT_BY_PYTHON}
    for name in sorted((_FILES | _FOLDERS) - there):
        yield LabError(f'there is no "{name}"', where=exercise.folder)
    for name in sorted(there - _FILES - _FOLDERS):
        if not name.startswith("reference-"):
            yield LabError(
                f'"{name}" is no part of an exercise', where=exercise.folder, hint="remove it"
            )


def _brief(exercise: Exercise) -> Iterator[LabError]:
    path = os.path.join(exercise.folder, "README.md")
    heading = _text(path).partition("\n")[0]
    if heading != f"# {exercise.title}":
        yield LabError(
            f'the heading is "{heading}"',
            where=f"{path}:1",
            hint=f'make it "# {exercise.title}", as {FILE} has it',
        )


def _syllabus_row(exercise: Exercise) -> Iterator[LabError]:
    path = os.path.join(os.path.dirname(exercise.folder), "README.md")
    rows = [
        line for line in _text(path).splitlines() if f"({exercise.directory}/README.md)" in line
    ]
    if len(rows) != 1 or exercise.title not in rows[0]:
        yield LabError(
            f'no row of the table has "{exercise.title}" with a link to it',
            where=path,
            hint=f"| [{exercise.slug}]({exercise.directory}/README.md) | {exercise.title} | …",
        )


def _needs(exercise: Exercise) -> Iterator[LabError]:
    before = []
    for name in sorted(os.listdir(os.path.dirname(exercise.folder))):
        if name == exercise.directory:
            break
        before.append(slug_of(name))
    for needed in exercise.needs:
        if needed not in before:
            yield LabError(
                f'it needs "{needed}", and no exercise before it is called that',
                where=os.path.join(exercise.folder, FILE),
            )


def _lab(exercise: Exercise) -> Iterator[LabError]:
    try:
        load_topology(
            find_lab(exercise.lab, [exercise.folder, *search_path()]), exercise.parameters
        )
    except LabError as error:
        yield error
    except LabErrors as errors:
        yield from errors.problems


def _programs(exercise: Exercise) -> Iterator[LabError]:
    starter = os.path.join(exercise.folder, "starter")
    if not any("TODO" in _text(path) for path in _files(starter)):
        yield LabError(
            "nothing in it says TODO", where=starter, hint="mark what the learner has to write"
        )
    for name in exercise.programs:
        for folder in (starter, *references(exercise)):
            if not any(
                os.path.isfile(os.path.join(folder, file))
                for file in (name, f"{name}.py", "Makefile", "submission.yaml")
            ):
                yield LabError(f'the program "{name}" is missing', where=folder)


def _checks(exercise: Exercise) -> Iterator[LabError]:
    for path in _files(exercise.checks_folder):
        if path.endswith(".py"):
            try:
                ast.parse(_text(path))
            except SyntaxError as error:
                yield LabError(f"not Python: {error.msg}", where=f"{path}:{error.lineno}")
                return
    checks = checks_of(exercise)
    if not checks:
        yield LabError("there are no checks", where=exercise.checks_folder)
    for check in checks:
        title = check.title
        if not title or title != title[:1].lower() + title[1:] or title.endswith("."):
            yield LabError(
                f"{check.name} needs a docstring: lower case, no full stop",
                where=exercise.checks_folder,
                hint="it is what the learner reads: what his program does, in the present tense",
            )
    yield from _hints(exercise, [check.title for check in checks])


def _hints(exercise: Exercise, titles: Sequence[str]) -> Iterator[LabError]:
    path = os.path.join(exercise.folder, "hints.md")
    headings = re.findall(r"^## (.+)$", _text(path), re.MULTILINE)
    for title in titles:
        if title not in headings:
            yield LabError(f'no section is called "## {title}"', where=path)
    for heading in headings:
        if heading not in titles:
            yield LabError(
                f'the section "{heading}" belongs to no check',
                where=path,
                hint="its heading is the check's docstring",
            )


def _faulty(exercise: Exercise) -> Iterator[LabError]:
    folder = os.path.join(exercise.folder, "faulty")
    there = set(mistakes_in(exercise))
    if not exercise.faulty:
        yield LabError(
            "no known mistake is named",
            where=os.path.join(exercise.folder, FILE),
            hint="faulty: {MISTAKE: CHECK}, and faulty/MISTAKE.patch with the lines that differ",
        )
    for name in sorted(there - set(exercise.faulty)):
        yield LabError(
            f'"{name}" is not named in {FILE}',
            where=folder,
            hint=f"faulty: {{{name}: CHECK}} says which check catches it",
        )
    known = [check.name for check in checks_of(exercise)]
    for name, caught_by in exercise.faulty.items():
        if name not in there:
            yield LabError(f'there is no "{name}.patch", nor a folder "{name}"', where=folder)
        for check in caught_by:
            if check not in known:
                yield LabError(
                    f'the mistake "{name}" is to be caught by "{check}", which is no check',
                    where=os.path.join(exercise.folder, FILE),
                )


def _files(folder: str) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != _LEFT_BY_PYTHON]
        yield from (os.path.join(place, name) for name in names)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""
