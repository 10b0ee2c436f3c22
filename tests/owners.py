"""The people who own labs: root, root who wants a rootless lab, an ordinary user.

Each has labctl on the command line as a student has it, and labs under names of their own.
"""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from labctl.kernel.state import LabState
from tests.ordinary_user import CHECKOUT, OrdinaryUser

OWNERS = ("root", "root, rootless", "ordinary user") if os.geteuid() == 0 else ("ordinary user",)
"""Every kind of owner that this run of the tests can be; for ``pytest.mark.parametrize``."""

ROOTLESS_OWNERS = OWNERS[1:] if os.geteuid() == 0 else OWNERS


class Owner(NamedTuple):
    """Somebody who types labctl commands."""

    kind: str
    program: tuple[str, ...]
    """The beginning of a command line that runs labctl."""
    up_options: tuple[str, ...]
    home: Path
    environment: Mapping[str, str]
    base: str
    """The folder of their labs."""

    @property
    def is_rootless(self) -> bool:
        """Whether their labs have namespaces of their own for everything."""
        return self.kind != "root"

    def labctl(
        self,
        *words: str,
        stdin: str = "",
        timeout_s: float = 60.0,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*self.program, *words],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            cwd=cwd or self.home,
            env={**self.environment, **(environment or {})},
        )

    def start(
        self,
        *words: str,
        stdin: int = subprocess.DEVNULL,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start a command in a process group of its own."""
        return subprocess.Popen(
            [*self.program, *words],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home,
            env={**self.environment, **(environment or {})},
            start_new_session=True,
        )

    def up(self, name: str, lab: str = "two_clients") -> None:
        """Build a lab under a name of its own."""
        done = self.labctl("up", lab, "--name", name, *self.up_options)
        assert done.returncode == 0, done.stderr

    def state(self, name: str) -> LabState:
        """Return the folder of one of their labs."""
        return LabState(name, self.base)

    def holder_pid(self, name: str) -> int:
        """Return the process id of a lab's holder."""
        holder = self.state(name).holder()
        assert holder is not None
        return holder.pid

    @contextmanager
    def lab(self, lab: str = "two_clients") -> Iterator[str]:
        """Have a lab up for the length of a ``with`` block; gives its name."""
        with self.name() as name:
            self.up(name, lab)
            yield name

    @contextmanager
    def name(self) -> Iterator[str]:
        """Give a name that no other lab has; what is up by that name in the end is taken down."""
        name = unique_name()
        try:
            yield name
        finally:
            self.labctl("down", name)


def unique_name() -> str:
    """Return a name for a lab that no other test uses."""
    return f"t{uuid.uuid4().hex[:12]}"


def owner_of_kind(kind: str, request: pytest.FixtureRequest) -> Owner:
    """Return the owner; the ordinary user is only made where a test wants one."""
    if kind == "ordinary user":
        user: OrdinaryUser = request.getfixturevalue("ordinary_user")
        base = Path(user.environment["XDG_RUNTIME_DIR"], "labctl")
        program = (*user.prefix, "labctl")
        return Owner(kind, program, (), user.home, user.environment, str(base))
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    options = ("--rootless",) if kind == "root, rootless" else ()
    program = (sys.executable, "-m", "labctl")
    return Owner(kind, program, options, CHECKOUT, environment, "/run/labctl")


_RESERVED_SIGNALS = 1 << 31 | 1 << 32
"""32 and 33, which the C library keeps for itself: nobody can reset them, and some shells leave them
ignored."""


def signal_mask(line: str) -> int:
    """Return the set of signals of a line in /proc/PID/status (proc_pid_status(5))."""
    return int(line.split()[1], 16) & ~_RESERVED_SIGNALS
