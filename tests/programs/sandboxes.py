"""Programs in sandboxes of real labs, each run by the lab's owner as a grader would run it."""

import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from labctl.kernel import processes
from labctl.programs.sandbox import Limits
from tests import leftovers
from tests.limits import LIMIT_S
from tests.owners import OWNERS, Owner, owner_of_kind

_RUNNER = Path(__file__).with_name("run_sandboxed.py")
_MARK = "SANDBOX_TEST"

USUAL = Limits()

MODES = [(kind, raw) for kind in OWNERS for raw in (False, True)]
"""Every way in which a sandbox is made; for a fixture's parameters."""
MODE_NAMES = [f"{kind}{', raw sockets' if raw else ''}" for kind, raw in MODES]


class Ended(NamedTuple):
    """How a sandboxed program ended, and what the watchdog and the pipes saw of it."""

    exit_status: int
    stdout: str
    stderr: str
    written: int
    """Bytes, of both; only the beginning is kept."""
    reason: str
    """The watchdog's; empty if it left the program alone."""
    most_processes: int
    """Seen at once, from outside."""

    @property
    def found(self) -> Any:  # noqa: ANN401 - whatever the program printed as JSON
        """Return what the program found out."""
        assert self.stdout, self
        return json.loads(self.stdout)


class Grader(NamedTuple):
    """An owner of labs with a lab that is up, who runs submissions in it."""

    owner: Owner
    grants_raw: bool
    lab: str
    folder: Path
    """Everybody can enter it; submissions are made below."""
    mark: str
    """All processes of its programs have it in their environment."""

    @property
    def uid(self) -> int:
        """Return the number that its programs run as in a lab of root."""
        return 400_000_000 + os.getpid()

    @property
    def has_own_user(self) -> bool:
        """Whether its programs run as that, and not as the owner of the lab."""
        holder_pid = self.owner.holder_pid(self.lab)
        return not self.owner.is_rootless or processes.maps_uid(holder_pid, self.uid)

    def submission(self, files: Mapping[str, str]) -> Path:
        """Make a submission that everybody can read."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        folder.chmod(0o755)
        for name, text in files.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        return folder

    def run(
        self,
        program: str,
        *arguments: str,
        wall_s: float = LIMIT_S,
        limits: Limits = USUAL,
        until_processes: int = 0,
    ) -> Ended:
        """Run a Python program, as ``/submission/main.py``, to its end or the watchdog's.

        With ``until_processes`` it is also ended once it has so many and the watchdog has seen
        them. Nothing of it may be left then.
        """
        submission = self.submission({"main.py": program})
        command = ("python3", "/submission/main.py", *arguments)
        return self.run_in(
            submission, command, wall_s=wall_s, limits=limits, until_processes=until_processes
        )

    def run_in(
        self,
        submission: Path,
        command: Sequence[str],
        *,
        limits: Limits = USUAL,
        is_writable: bool = False,
        wall_s: float = LIMIT_S,
        until_processes: int = 0,
    ) -> Ended:
        """Run a command in the sandbox of a submission that is there already, as ``run``."""
        process = self.start_in(
            submission,
            command,
            limits=limits,
            is_writable=is_writable,
            wall_s=wall_s,
            until_processes=until_processes,
        )
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert self.processes_left() == []
        return Ended(**json.loads(out))

    def start_in(
        self,
        submission: Path,
        command: Sequence[str],
        *,
        limits: Limits = USUAL,
        is_writable: bool = False,
        wall_s: float = LIMIT_S,
        until_processes: int = 0,
    ) -> subprocess.Popen[str]:
        """Start whoever runs the command, and sees to its end, in a process of the owner's."""
        request = {
            "lab": self.lab,
            "command": list(command),
            "wall_s": wall_s,
            "until_processes": until_processes,
            "submission": str(submission),
            "is_rootless": self.owner.is_rootless,
            "uid": self.uid,
            "limits": limits,
            "grants_raw": self.grants_raw,
            "is_writable": is_writable,
            "environment": dict([self.mark.split("=")]),
        }
        process = subprocess.Popen(
            [*_python(self.owner), str(self.folder / _RUNNER.name)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=dict(self.owner.environment),
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        return process

    def processes_left(self) -> list[str]:
        """Return a line for each process of its programs that does not end by itself."""
        return leftovers.processes(self.mark, within_s=LIMIT_S)


def _python(owner: Owner) -> list[str]:
    """Return the command line that runs Python as the owner, with labctl to import."""
    if owner.kind != "ordinary user":
        return [sys.executable]
    folders = owner.environment["PATH"].split(":")
    labctl = next(path for folder in folders if (path := Path(folder, "labctl")).exists())
    return [*owner.program[:-1], str(labctl.with_name("python"))]


@contextmanager
def grader(owner: Owner, *, grants_raw: bool = False) -> Iterator[Grader]:
    """Have a lab of the owner's up for the length of a ``with`` block."""
    with tempfile.TemporaryDirectory(prefix="sandboxes-") as name, owner.lab() as lab:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / _RUNNER.name).write_text(_RUNNER.read_text())
        mark = f"{_MARK}={uuid.uuid4().hex}"
        yield Grader(owner, grants_raw, lab, folder, mark)


@contextmanager
def grader_of_mode(request: pytest.FixtureRequest) -> Iterator[Grader]:
    """Have a grader for a fixture whose parameters are ``MODES``."""
    kind, raw = request.param
    with grader(owner_of_kind(kind, request), grants_raw=raw) as one:
        yield one
