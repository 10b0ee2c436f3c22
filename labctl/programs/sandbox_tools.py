"""Looks whether the programs and the library that make a sandbox are there and work here."""

import functools
import os
import shutil
import subprocess
from typing import NamedTuple

from labctl.errors import LabError, machine_error
from labctl.kernel import seccomp

_PACKAGES = {"bwrap": "bubblewrap", "setpriv": "util-linux", "prlimit": "util-linux"}
_TRIAL_WITHIN_S = 10.0


class Tools(NamedTuple):
    """Where the programs are."""

    bwrap: str
    setpriv: str
    prlimit: str
    can_forbid_users: bool
    """Whether this bwrap can forbid user namespaces by the kernel's own limit (since 0.8)."""


@functools.cache
def find_tools() -> Tools:
    """Find the programs. Raises ``LabError`` where one is missing."""
    bwrap, setpriv, prlimit = map(_find, _PACKAGES)
    known = _run(bwrap, "--help").stdout
    return Tools(bwrap, setpriv, prlimit, can_forbid_users="--disable-userns" in known)


@functools.cache
def why_no_sandbox() -> str | None:
    """Return why programs cannot be sandboxed on this machine and what to do; ``None`` if they can.

    Found out once, by making a sandbox.
    """
    try:
        tools = find_tools()
        seccomp.export(())
        _try_out(tools.bwrap)
    except LabError as error:
        return f"{error.problem}: {error.hint}"
    return None


def _find(name: str) -> str:
    # On the system's own path: nothing of the user's belongs in a sandbox.
    path = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin")
    if path is None:
        raise machine_error(
            f"{name} is not installed, and sandboxed programs need it",
            hint=f"sudo apt-get install {_PACKAGES[name]}",
        )
    return path


def _try_out(bwrap: str) -> None:
    own_user = () if os.geteuid() == 0 else ("--unshare-user",)
    options = (
        *own_user,
        "--unshare-pid",
        "--unshare-ipc",
        "--ro-bind",
        "/",
        "/",
        "--proc",
        "/proc",
    )
    done = _run(bwrap, *options, "--dev", "/dev", "--", "true")
    if done.returncode != 0:
        said = done.stderr.strip().removeprefix("bwrap: ")
        raise machine_error(
            f"bwrap cannot make its namespaces here ({said})",
            hint="`labctl doctor` looks for what forbids it",
        )


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_TRIAL_WITHIN_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise machine_error(
            f"{words[0]} cannot be run ({error})", hint="is it installed completely?"
        ) from error
