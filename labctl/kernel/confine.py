"""Makes the calling process a sandboxed program, as ``labctl.programs.sandbox`` decided.

The lab's holder does it in the process that it forked for the program: a class has thousands of
them, and an interpreter of its own would double what a short one costs. Nothing of the holder is
left there, since bwrap is executed next.
"""

import os
import resource
from collections.abc import Mapping, Sequence
from typing import NoReturn, TypedDict

from labctl.kernel.namespaces import (
    MS_NODEV,
    MS_NOSUID,
    forbid_new_privileges,
    mount,
    set_seccomp_filter,
)

SETUP_FAILED = 125
"""The exit status of a program whose sandbox could not be made; its stderr says why."""

_BASE = "/sys"
"""Where the scratch folders are made: nothing of it is needed any more, and the mounts are this
process's own."""


class Recipe(TypedDict):
    """How a sandbox is made; JSON, since it travels to the holder."""

    bwrap: str
    limits: Mapping[str, Sequence[int]]
    """(soft, hard) by the names of setrlimit(2), without ``RLIMIT_``."""
    scratch: Mapping[str, Mapping[str, int]]
    """``size`` in bytes and number of ``files`` of each folder that the program may write to."""
    options: Sequence[str]
    """bwrap's, see bwrap(1)."""
    files: Mapping[str, str]
    """The text of files that are there instead of the machine's own."""
    outer_filter: str
    """As hexadecimal digits: instructions of seccomp(2), for bwrap and all that it starts."""
    inner_filter: str
    """For the program alone."""
    environment: Mapping[str, str]


def confine(recipe: Recipe, command: Sequence[str]) -> NoReturn:
    """Execute the command in its sandbox.

    The process is in the program's node, with a mount namespace of its own. It ends where the
    sandbox cannot be made, having said so on stderr.
    """
    try:
        _confine(recipe, command)
    except Exception as error:
        os.write(2, f"labctl: the sandbox cannot be made: {error}\n".encode())
    finally:
        os._exit(SETUP_FAILED)


def _confine(recipe: Recipe, command: Sequence[str]) -> NoReturn:
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.umask(0o022)
    _set_limits(recipe["limits"])
    options = [*recipe["options"], *_scratch(recipe["scratch"])]
    for path, text in recipe["files"].items():
        options += ["--perms", "0444", "--ro-bind-data", _file(text.encode()), path]
    options += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/work"]
    options += ["--seccomp", _file(bytes.fromhex(recipe["inner_filter"]))]
    arguments = _file(b"".join(os.fsencode(word) + b"\0" for word in options))
    forbid_new_privileges()
    set_seccomp_filter(bytes.fromhex(recipe["outer_filter"]))
    os.execve(
        recipe["bwrap"], ["bwrap", "--args", arguments, "--", *command], recipe["environment"]
    )


def _set_limits(limits: Mapping[str, Sequence[int]]) -> None:
    for name, (soft, hard) in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        _, most = resource.getrlimit(number)
        if most == resource.RLIM_INFINITY:
            most = max(soft, hard)
        resource.setrlimit(number, (min(soft, most), min(hard, most)))


def _scratch(folders: Mapping[str, Mapping[str, int]]) -> list[str]:
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
