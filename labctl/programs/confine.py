"""Becomes a sandboxed program: ``python confine.py COMMAND…``, started in a node.

What to do is in the environment, made by ``labctl.programs.sandbox``. It is out of sight inside:
neither the options nor the environment of the processes there show anything of the machine.

Every program of a submission begins with this, and a class has thousands. So it imports little:
json or signal alone would double its time.
"""

from __future__ import annotations

import marshal
import os
import resource
import sys

from labctl.kernel.namespaces import (
    MS_NODEV,
    MS_NOSUID,
    SIGPIPE,
    SIGXFSZ,
    forbid_new_privileges,
    handle_by_default,
    mount,
    set_seccomp_filter,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

RECIPE_VARIABLE = "LABCTL_RECIPE"
SETUP_FAILED = 125
"""The exit status of a program whose sandbox could not be made; its stderr says why."""

_BASE = "/sys"
"""Where the scratch folders are made: nothing of it is needed any more, and the mounts are this
process's own."""


def to_variable(recipe: dict[str, Any]) -> str:
    """Return a recipe as the environment variable's value, for the same interpreter."""
    return marshal.dumps(recipe).hex()


def from_variable(value: str) -> dict[str, Any]:
    """Undo ``to_variable``."""
    recipe: dict[str, Any] = marshal.loads(bytes.fromhex(value))
    return recipe


def confine(recipe: dict[str, Any], command: list[str]) -> NoReturn:
    """Execute the command in its sandbox. Raises ``OSError``."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.umask(0o022)
    _set_limits(recipe["limits"])
    options = [*recipe["options"], *_scratch(recipe["scratch"])]
    for path, text in recipe["files"].items():
        options += ["--perms", "0444", "--ro-bind-data", _file(text.encode()), path]
    options += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/work"]
    options += ["--seccomp", _file(recipe["inner_filter"])]
    arguments = _file(b"".join(os.fsencode(word) + b"\0" for word in options))
    # The interpreter ignores these two, and what is ignored stays so in the program: one that
    # writes to a connection that has gone would live on here, and die everywhere else.
    for number in (SIGPIPE, SIGXFSZ):
        handle_by_default(number)
    forbid_new_privileges()
    set_seccomp_filter(recipe["outer_filter"])
    os.execve(
        recipe["bwrap"], ["bwrap", "--args", arguments, "--", *command], recipe["environment"]
    )


def _set_limits(limits: dict[str, list[int]]) -> None:
    for name, wanted in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        _, most = resource.getrlimit(number)
        if most == resource.RLIM_INFINITY:
            most = max(wanted)
        resource.setrlimit(number, (min(wanted[0], most), min(wanted[1], most)))


def _scratch(folders: dict[str, dict[str, int]]) -> list[str]:
    """Make the folders that the program may write to; bwrap's own have no limit of files."""
    flags = MS_NOSUID | MS_NODEV
    mount("tmpfs", _BASE, "tmpfs", flags, "mode=755,size=64k")
    options = []
    for number, (path, limits) in enumerate(folders.items()):
        place = f"{_BASE}/{number}"
        os.mkdir(place)
        size, files = limits["size"], limits["files"]
        mount("tmpfs", place, "tmpfs", flags, f"mode=1777,size={size},nr_inodes={files}")
        options += ["--bind", place, path]
    return options


def _file(data: bytes) -> str:
    """Return the number of an open file with this in it, which bwrap inherits."""
    fd = os.memfd_create("sandbox", 0)
    with open(fd, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(fd, 0, os.SEEK_SET)
    return str(fd)


def main() -> NoReturn:
    """Take the recipe from the environment; say what failed on stderr."""
    try:
        confine(from_variable(os.environ[RECIPE_VARIABLE]), sys.argv[1:])
    except OSError as error:
        os.write(2, f"labctl: the sandbox cannot be made: {error}\n".encode())
    os._exit(SETUP_FAILED)


if __name__ == "__main__":
    main()
