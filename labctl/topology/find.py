"""Where lab files are: by path, or by name in a list of folders."""

import os
from collections.abc import Iterator, Sequence

from labctl.errors import LabError

LONGEST_FILE = 4_000_000
"""Bytes of a lab file, and characters of a rendered template; 4096 nodes need a quarter."""

_ENDINGS = (".yaml", ".yaml.j2")
_PATH_ENDINGS = (*_ENDINGS, ".yml", ".yml.j2", ".j2")
_FOR_EDITORS = "yaml-language-server:"
_HEADER_BYTES = 65_536


def find_lab(name: str, search_path: Sequence[str]) -> str:
    """Return the path of the lab: ``name`` itself if it is one, or else found by name."""
    if "/" in name or name.endswith(_PATH_ENDINGS):
        if os.path.isfile(name):
            return name
        raise _not_a_file(name, search_path)
    for folder in _folders(search_path):
        for ending in _ENDINGS:
            path = os.path.join(folder, name + ending)
            if name and os.path.isfile(path):
                return path
    raise _unknown(f'there is no lab "{name}"', name, search_path)


def list_labs(search_path: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return (name, path, purpose) of each lab that a name finds, in the order of the names.

    The purpose is the first comment line. A YAML file without ``nodes:`` is no lab.
    """
    labs: dict[str, tuple[str, str]] = {}
    for folder in _folders(search_path):
        for name, path in _files_of(folder):
            if name not in labs and (purpose := _purpose(path)) is not None:
                labs[name] = (path, purpose)
    return [(name, *labs[name]) for name in sorted(labs)]


def read_lab_file(path: str) -> bytes:
    """Return the bytes of a lab file."""
    try:
        with open(path, "rb") as file:
            content = file.read(LONGEST_FILE + 1)
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or "not the name of a file"
        raise LabError(f"the lab file cannot be read: {said.lower()}", where=path) from None
    if len(content) > LONGEST_FILE:
        raise LabError(
            f"the lab file has more than {LONGEST_FILE} bytes", where=path, hint="is it a lab file?"
        )
    return content


def is_template_path(path: str) -> bool:
    """Whether the file is a template; its name says so."""
    return path.endswith(".j2")


def _folders(search_path: Sequence[str]) -> Iterator[str]:
    for folder in search_path:
        # "labs/x.yaml" reads better in an error than "./labs/x.yaml".
        yield "" if folder == "." else folder
        yield os.path.join("" if folder == "." else folder, "labs")


def _files_of(folder: str) -> list[tuple[str, str]]:
    """Return (name, path) of the files that may be labs; plain ones before templates."""
    try:
        files = sorted(os.listdir(folder or "."))
    except OSError:
        return []
    return [
        (file.removesuffix(ending), os.path.join(folder, file))
        for ending in _ENDINGS
        for file in files
        if file.endswith(ending) and not file.startswith(".")
    ]


def _purpose(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            lines = file.read(_HEADER_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    if not any(line.startswith("nodes:") for line in lines):
        return None
    comments = (line.lstrip("# ").rstrip() for line in lines if line.startswith("#"))
    return next((said for said in comments if said and not said.startswith(_FOR_EDITORS)), "")


def _not_a_file(path: str, search_path: Sequence[str]) -> LabError:
    if os.path.isdir(path):
        return LabError("a folder is not a lab", where=path, hint="name a file in it")
    file = os.path.basename(path)
    for ending in reversed(_ENDINGS):
        file = file.removesuffix(ending)
    return _unknown(f'there is no file "{path}"', file, search_path)


def _unknown(problem: str, name: str, search_path: Sequence[str]) -> LabError:
    from labctl.topology.words import listed, nearest

    names = [lab[0] for lab in list_labs(search_path)]
    if not names:
        return LabError(problem, hint="there are no labs in the current folder, nor in its labs/")
    close = nearest(name, names)
    meant = f'did you mean "{close}"? ' if close else ""
    return LabError(problem, hint=f"{meant}the labs here are: {listed(names, most=30)}")
