"""Types labctl's command lines, each in a process of its own, as a user does."""

import json
import os
import select
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.limits import LIMIT_S

CHECKOUT = Path(__file__).parent.parent.parent

MODES = ["--rootless", "--root"] if os.geteuid() == 0 else ["--rootless"]
"""The ways to build a lab that this user has."""


class Done(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str


class Running:
    """A command that runs; nothing here waits without a limit."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._unread = b""

    def expect(self, line: str) -> None:
        """Wait for this line, the next on its standard output."""
        while b"\n" not in self._unread and self._read():
            pass
        first, _, self._unread = self._unread.partition(b"\n")
        assert first.decode() == line

    def rest(self) -> str:
        """Return all that is still to come on its standard output, until that is closed."""
        while self._read():
            pass
        rest, self._unread = self._unread, b""
        return rest.decode()

    def type(self, text: str) -> None:
        """Write to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def end(self) -> tuple[int, str]:
        """End its input and wait for it; return its exit code and what it said on stderr."""
        _, said = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, said.decode()

    def _read(self) -> bool:
        assert self.process.stdout is not None
        poll = select.poll()
        poll.register(self.process.stdout, select.POLLIN)
        assert poll.poll(LIMIT_S * 1000), f"nothing came, after: {self._unread!r}"
        data = os.read(self.process.stdout.fileno(), 65536)
        self._unread += data
        return bool(data)


class Labctl:
    """The command ``labctl``, in a folder and with a cache of its own."""

    command = (sys.executable, "-m", "labctl")

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LABCTL_", "PYTHON", "_ARGCOMPLETE")) or name == _RUN_VARIABLE
        }
        self.environment = {
            **inherited,
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT), *sys.path]),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }

    def __call__(
        self, *words: str, stdin: str = "", environment: Mapping[str, str] | None = None
    ) -> Done:
        """Run a command line to its end."""
        done = subprocess.run(
            [*self.command, *words],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
            cwd=self.folder,
            env={**self.environment, **(environment or {})},
        )
        return Done(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def running(self, *words: str) -> Iterator["Running"]:
        """Have a command line run for the length of a ``with`` block; whatever is left is killed."""
        with subprocess.Popen(
            [*self.command, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env=self.environment,
        ) as process:
            try:
                yield Running(process)
            finally:
                process.kill()

    def json(self, *words: str) -> Any:  # noqa: ANN401  # whatever the command prints
        """Run a command line that prints JSON; return what it says."""
        done = self(*words, "--json")
        assert done.code == 0, done.err
        said = json.loads(done.out)
        assert said["format"] == 1
        return said

    def write(self, name: str, text: str) -> str:
        """Write a file into the folder; return how to name it on a command line."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return f"./{name}"

    @contextmanager
    def lab(self, lab: str, *options: str) -> Iterator[str]:
        """Have a lab up under a name that no other test uses."""
        name = unused_name()
        done = self("up", lab, "--name", name, *options)
        assert done.code == 0, done.err
        try:
            yield name
        finally:
            self("down", name)

    def is_up(self, name: str) -> bool:
        """Whether a lab of that name is up, or has left anything."""
        listed = self.json("status")
        return name in {lab["name"] for lab in listed["labs"]} | set(listed["crashed"])


_RUN_VARIABLE = "LABCTL_TEST_RUN"


def unused_name() -> str:
    """Return a name for a lab that no other test uses."""
    return f"cli-{uuid.uuid4().hex[:8]}"
