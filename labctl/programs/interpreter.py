"""The Python interpreter of sandboxed programs: the system's, or else the one that runs labctl."""

import functools
import glob
import os
import subprocess
import sys
from typing import NamedTuple

SYSTEM = "/usr/bin/python3"
MOUNTED_ON = "/opt/python"

_IS_NEW_ENOUGH = "import sys; sys.exit(sys.version_info < (3, 11))"


class Interpreter(NamedTuple):
    """An interpreter as a sandboxed program finds it."""

    path: str
    """In the sandbox."""
    folder: str = ""
    """What has to be mounted for it, on ``mounted_on``; nothing for one below /usr."""
    mounted_on: str = MOUNTED_ON
    has_library: bool = False
    """Whether it needs a shared library of its own, which it would look for at its old place."""


def interpreter() -> Interpreter:
    """Return the system's interpreter if it is at least 3.11, or else the running one's base.

    That may lie in a folder that only its owner can enter: it is mounted at another place.
    """
    if _is_new_enough(SYSTEM):
        return Interpreter(SYSTEM)
    prefix = os.path.realpath(sys.base_prefix)
    path = os.path.realpath(sys.executable)
    if path.startswith("/usr/"):
        return Interpreter(path)
    inside = os.path.join(MOUNTED_ON, os.path.relpath(path, prefix))
    libraries = glob.glob(f"{glob.escape(prefix)}/lib/libpython3*.so*")
    return Interpreter(inside, folder=prefix, has_library=bool(libraries))


@functools.cache
def _is_new_enough(path: str) -> bool:
    try:
        # Without the site module: it takes half of the time, and may be broken.
        done = subprocess.run([path, "-I", "-S", "-c", _IS_NEW_ENOUGH], check=False)
    except OSError:
        return False
    return done.returncode == 0
