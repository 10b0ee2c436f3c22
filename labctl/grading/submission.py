"""A directory with a learner's programs: found by name, built if need be, started in a lab."""

import os
import shlex
import shutil
import stat
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import yaml

from labctl.errors import LabError, machine_error
from labctl.grading.endpoints import WITHIN_S
from labctl.grading.exercise import Exercise
from labctl.grading.lab import Lab, Node
from labctl.grading.program import Ended, Program
from labctl.grading.unmet import Unmet
from labctl.kernel import processes
from labctl.kernel.confine import Recipe
from labctl.programs.sandbox import Limits, Sandbox, sandboxed

MANIFEST = "submission.yaml"

_MOST_FILES = 2000
_MOST_BYTES = 256 << 20
_LEFT_OUT = {".git", ".labctl", "__pycache__", ".venv", "node_modules"}
_BUILD_WITHIN_S = 120.0
_BUILD = Limits()._replace(cpu_s=100, file_bytes=256 << 20, scratch_bytes=256 << 20)
_SHOWN_LINES = 30
_ENVIRONMENT = {"LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}


class Means(NamedTuple):
    """How programs of a submission are run on this machine."""

    is_sandboxed: bool
    is_rootless: bool
    uid: int
    """Of the sandbox in root mode."""


class Prepared(NamedTuple):
    """A copy of a submission in which every program can be started."""

    folder: str
    commands: Mapping[str, tuple[str, ...]]
    """Of each program, the words before its arguments; ``{}`` stands for the folder."""


def copy_submission(source: str, target: str) -> None:
    """Copy a submission's files, so that nothing that happens later can change what is judged.

    Links stay links, and point to nothing where the program runs. Raises ``Unmet`` for more than
    2000 files or 256 MiB, and ``LabError`` where there is no such folder.
    """
    if not os.path.isdir(source):
        raise LabError(f'there is no folder "{source}"', hint="is the path right?")
    files = size = 0
    os.makedirs(target, exist_ok=True)
    os.chmod(target, 0o755)  # whatever the umask: another user is to read it
    for place, folders, names in os.walk(source):
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        copy = os.path.join(target, os.path.relpath(place, source))
        for name in folders:
            if not os.path.islink(os.path.join(place, name)):
                os.mkdir(os.path.join(copy, name))
                os.chmod(os.path.join(copy, name), 0o755)
        for name in [*names, *(f for f in folders if os.path.islink(os.path.join(place, f)))]:
            path = os.path.join(place, name)
            status = os.lstat(path)
            files += 1
            size += status.st_size
            if files > _MOST_FILES or size > _MOST_BYTES:
                raise Unmet(
                    f"a submission of at most {_MOST_FILES} files and {_MOST_BYTES >> 20} MiB",
                    "it has more",
                    "hand in the source and its Makefile, nothing else",
                )
            if stat.S_ISLNK(status.st_mode):
                os.symlink(os.readlink(path), os.path.join(copy, name))
            elif stat.S_ISREG(status.st_mode):
                shutil.copyfile(path, os.path.join(copy, name), follow_symlinks=False)
                os.chmod(os.path.join(copy, name), 0o755 if status.st_mode & 0o111 else 0o644)


def prepare(folder: str, exercise: Exercise, lab: Lab, means: Means) -> Prepared:
    """Find each program of the exercise in the copied submission, built from its source if it can be.

    Raises ``Unmet`` where one cannot be had.
    """
    manifest = _read_manifest(folder)
    if manifest.build:
        _build(folder, manifest.build, lab, means)
    elif _has_makefile(folder):
        named = [name for name in exercise.programs if name not in manifest.programs]
        _make(folder, named, lab, means)
    commands = {}
    for name in exercise.programs:
        command = _command(folder, name, manifest)
        if command:
            commands[name] = command
    return Prepared(folder, commands)


class _Manifest(NamedTuple):
    build: tuple[str, ...]
    programs: Mapping[str, tuple[str, ...]]


def _read_manifest(folder: str) -> _Manifest:
    path = os.path.join(folder, MANIFEST)
    if not os.path.isfile(path) or os.path.islink(path):
        return _Manifest((), {})
    expected = f"{MANIFEST} says `build: COMMAND` and `programs: {{NAME: COMMAND}}`"
    try:
        with open(path, "rb") as file:
            written = yaml.safe_load(file.read(100_000))
        if not isinstance(written, dict) or set(written) - {"build", "programs"}:
            raise Unmet(expected, "it says something else")
        programs = written.get("programs") or {}
        if not isinstance(programs, dict):
            raise Unmet(expected, "`programs` is no mapping")
        return _Manifest(
            tuple(_words(written.get("build") or "")),
            {str(name): tuple(_words(words)) for name, words in programs.items()},
        )
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Unmet(expected, " ".join(str(error).split())[:200]) from None


def _words(written: object) -> list[str]:
    if isinstance(written, str):
        return shlex.split(written)
    if isinstance(written, list):
        return [str(word) for word in written]
    raise ValueError("a command is a text or a list of words")


def _has_makefile(folder: str) -> bool:
    return any(
        os.path.isfile(os.path.join(folder, name))
        for name in ("Makefile", "makefile", "GNUmakefile")
    )


def _make(folder: str, names: Sequence[str], lab: Lab, means: Means) -> None:
    """Build what the Makefile has a rule for, whether or not something is there already.

    An executable may be older than its source, and a copy has no times that tell.
    """
    if shutil.which("make") is None:
        raise machine_error(
            "the submission has a Makefile, and make(1) is not installed",
            hint="sudo apt-get install make",
        )
    in_python = [name for name in names if os.path.isfile(os.path.join(folder, f"{name}.py"))]
    others = [name for name in names if name not in in_python]
    if others:
        _build(folder, ("make", "-B", *others), lab, means)
    for name in in_python:
        # Either the Makefile is for something else, or a starter lies beside what is built.
        no_rule = f"No rule to make target '{name}'."
        _build(folder, ("make", "-B", name), lab, means, unless_it_says=no_rule)


def _command(folder: str, name: str, manifest: _Manifest) -> tuple[str, ...]:
    if words := manifest.programs.get(name):
        # The program starts in a folder of its own, so its files go by their whole path.
        return tuple(
            "{}/" + os.path.normpath(word) if os.path.isfile(os.path.join(folder, word)) else word
            for word in words
        )
    path = os.path.join(folder, name)
    if os.path.isfile(path) and os.access(path, os.X_OK):
        return ("{}/" + name,)
    if os.path.isfile(f"{path}.py"):
        return ("python3", "{}/" + f"{name}.py")
    return ()


def _file_of(program: str, command: Sequence[str]) -> str:
    """Return which file of the submission is run, as its report names it."""
    return next(
        (word.removeprefix("{}/") for word in reversed(command) if word.startswith("{}/")), program
    )


def _build(
    folder: str, command: Sequence[str], lab: Lab, means: Means, *, unless_it_says: str = ""
) -> None:
    if means.is_sandboxed and os.geteuid() == 0:
        _give_to(folder, means.uid)
    node = lab.nodes[0]
    limits = _BUILD
    if means.is_sandboxed:
        sandbox = _sandbox(folder, lab, means, limits, is_writable=True)
        argv, recipe = sandboxed(
            ["sh", "-c", 'cd /submission && exec "$@"', "build", *command], sandbox
        )
        program = _start(lab, node, "build", argv, limits, recipe=recipe)
    else:
        environment = _plain_environment(lab.scratch)
        program = _start(lab, node, "build", command, limits, environment, folder)
    program.end_input()
    shown = " ".join(command)
    try:
        ended = program.end(expected=f"`{shown}` ends", within_s=_BUILD_WITHIN_S)
    except Unmet:
        program.kill()
        raise
    said = (ended.stdout + ended.stderr).decode(errors="backslashreplace")
    if ended.exit_status and not (unless_it_says and unless_it_says in said):
        how = program.how_it_ended().partition(", and said")[0]
        raise Unmet(
            f"`{shown}` builds the program",
            "\n".join([f"it {how}:", *said.splitlines()[-_SHOWN_LINES:]]),
            "run it in your own folder; no network and nothing outside of the folder is there",
        )


def _sandbox(
    folder: str,
    lab: Lab,
    means: Means,
    limits: Limits,
    *,
    is_writable: bool = False,
    grants_raw: bool = False,
) -> Sandbox:
    return Sandbox(
        submission=folder,
        is_rootless=means.is_rootless,
        uid=means.uid,
        maps_uid=processes.maps_uid(lab.running.holder.pid, means.uid),
        limits=limits,
        grants_raw=grants_raw,
        is_writable=is_writable,
        environment=_ENVIRONMENT,
    )


def _give_to(folder: str, uid: int) -> None:
    for place, _, names in os.walk(folder):
        os.chown(place, uid, uid)
        for name in names:
            os.lchown(os.path.join(place, name), uid, uid)


class Submission:
    """The programs under check, as a check uses them."""

    def __init__(self, prepared: Prepared, exercise: Exercise, lab: Lab, means: Means) -> None:
        self._prepared = prepared
        self._exercise = exercise
        self._lab = lab
        self._means = means

    def start(
        self,
        node: str,
        program: str,
        *arguments: str,
        ready: bool = True,
        through: Sequence[str] = (),
    ) -> Program:
        """Start a program in a node; a server is waited for until it prints ``READY``.

        ``through`` is a command of the machine that gets the program and its arguments as its own
        last ones and is to start it, in the same sandbox: it can write files for it there, or be
        the shell that it is started from. It is the first process then.

        Raises ``Unmet`` where the submission has no such program, or it does not get ready.
        """
        started = self._start(node, program, arguments, through)
        if ready:
            started.ready()
        return started

    def run(
        self,
        node: str,
        program: str,
        *arguments: str,
        feed: bytes = b"",
        within_s: float = 2 * WITHIN_S,
    ) -> Ended:
        """Run a program to its end, with ``feed`` as its whole input. Raises ``Unmet``."""
        started = self._start(node, program, arguments)
        if feed:
            started.write(feed, within_s=within_s)
        started.end_input()
        return started.end(within_s=within_s)

    def _start(
        self, node: str, program: str, arguments: Sequence[str], through: Sequence[str] = ()
    ) -> Program:
        if program not in self._exercise.programs:
            raise LabError(
                f'the exercise has no program "{program}"',
                where="check",
                hint=f"exercise.yaml names: {' '.join(self._exercise.programs)}",
                exit_code=3,
            )
        command = self._prepared.commands.get(program)
        if command is None:
            raise self._missing(program)
        title = " ".join([_file_of(program, command), *arguments])
        where = self._lab[node]
        limits = self._exercise.limits
        root = "/submission" if self._means.is_sandboxed else self._prepared.folder
        words = [root + word[2:] if word.startswith("{}/") else word for word in command]
        words = [*through, *words, *arguments]
        if not self._means.is_sandboxed:
            environment = _plain_environment(self._lab.scratch)
            return _start(
                self._lab,
                where,
                title,
                _with_this_python(words),
                limits,
                environment,
                self._lab.scratch,
            )
        sandbox = _sandbox(
            self._prepared.folder,
            self._lab,
            self._means,
            limits,
            grants_raw=self._exercise.grants_raw,
        )
        argv, recipe = sandboxed(words, sandbox)
        return _start(self._lab, where, title, argv, limits, recipe=recipe)

    def _missing(self, program: str) -> Unmet:
        there = sorted(os.listdir(self._prepared.folder))
        shown = ", ".join(there[:12]) + (", …" if len(there) > 12 else "")
        return Unmet(
            f'a program called "{program}"',
            f"the folder has {shown}" if there else "the folder is empty",
            f"it is {program}.py, or {program} with `chmod +x`, or what `make {program}` builds",
        )


def _start(
    lab: Lab,
    node: Node,
    title: str,
    argv: Sequence[str],
    limits: Limits,
    environment: Mapping[str, str] = {},
    cwd: str = "/",
    *,
    recipe: Recipe | None = None,
) -> Program:
    return lab.start(
        node,
        title,
        argv,
        environment,
        cwd=cwd,
        recipe=recipe,
        is_submitted=True,
        most_output=limits.output_bytes,
        most_resident=limits.memory_bytes,
        most_processes=limits.processes,
    )


def _plain_environment(home: str) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": home, **_ENVIRONMENT}


def _with_this_python(words: Sequence[str]) -> list[str]:
    return [sys.executable if words[0] == "python3" else words[0], *words[1:]]
