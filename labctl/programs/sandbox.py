"""What a program that nobody trusts may see and use: decided here, done by ``labctl.kernel.confine``.

It gets the node's network and nothing else of the lab or the machine: processes, mounts, users
and the rest are its own, made by bubblewrap (bwrap(1)). Three ways, by what the lab's owner may:

* in a lab of an ordinary user, in a user namespace below the lab's, so that it has no power over
  the node; files are kept from it by not being there;
* in a lab that has other users (root's), as one of them, whom no file of the machine belongs to;
* with raw sockets, which only somebody in the lab's own user namespace can have: as the second
  way, with that one capability; where there is no other user, as the lab's root without all others.
"""

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from labctl.errors import LabError
from labctl.kernel import seccomp
from labctl.kernel.confine import Recipe
from labctl.programs import forbidden
from labctl.programs.interpreter import Interpreter, interpreter
from labctl.programs.sandbox_tools import find_tools
from labctl.programs.sandbox_tools import why_no_sandbox as why_no_sandbox
from labctl.programs.search import search_path

MIB = 1 << 20
GIB = 1 << 30

_INSIDE_UID = 1000
_SCRATCH = ("/work", "/tmp", "/dev/shm")
_MOST_FILES = 16_384
"""In each scratch folder; empty files take the kernel's memory too, about 1 KiB each."""
_ETC = (
    "alternatives",
    "gai.conf",
    "host.conf",
    "ld.so.cache",
    "localtime",
    "nsswitch.conf",
    "protocols",
    "services",
)
_ROOT_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_MACHINE_IN_PROC = ("acpi", "driver", "fs", "mtrr", "pressure", "scsi", "sys", "sysrq-trigger")
"""What the host's root may write to by being root, without a capability, and so also the root of
his rootless lab. bwrap leaves out what it believes not to be writable, and is wrong for /proc/sys."""
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"


def look_at_machine() -> None:
    """Find out what every sandbox here needs to know; this process and its forks know it then.

    Raises ``LabError`` where there can be none.
    """
    find_tools()
    interpreter()
    _filters()


@functools.cache
def _filters() -> tuple[str, str]:
    """Return the outer and the inner one, as a recipe has them."""
    return seccomp.export(forbidden.EVERYWHERE).hex(), seccomp.export(forbidden.INSIDE).hex()


class Limits(NamedTuple):
    """How much a program may use. ``memory_bytes`` and ``output_bytes`` are the watchdog's."""

    cpu_s: int = 20
    """Of each process."""
    memory_bytes: int = 512 * MIB
    """Resident, of all its processes together."""
    address_space_bytes: int = 4 * GIB
    processes: int = 64
    """Threads count, and so does whatever else its user runs in the lab."""
    file_bytes: int = 32 * MIB
    open_files: int = 1024
    scratch_bytes: int = 64 * MIB
    """In each of /work, /tmp and /dev/shm."""
    output_bytes: int = 1 * MIB


class Sandbox(NamedTuple):
    """Where a program runs, and what it is given."""

    submission: str
    """An absolute path. Where the program is a user of its own, everybody must be able to read it."""
    is_rootless: bool
    """Whether the lab is."""
    uid: int
    """Whom the program runs as in a lab of root: a number that nobody else on the machine has."""
    maps_uid: bool = False
    """Whether a rootless lab has such a user too (``processes.maps_uid``). Where root's has not,
    programs run as the machine's root, and the kernel does not limit how many processes he has."""
    limits: Limits = Limits()
    grants_raw: bool = False
    is_writable: bool = False
    """Whether it may write into the submission, which has to be the uid's own, if it runs as that.
    What is written there is not limited in sum, and may be anything, also symbolic links."""
    hosts_file: str = ""
    """As the lab sees it; without one, it is that of the node."""
    environment: Mapping[str, str] = {}
    hostname: str = "sandbox"


def sandboxed(argv: Sequence[str], sandbox: Sandbox) -> tuple[list[str], Recipe]:
    """Return the command line and the recipe with which the lab's holder starts a program.

    ``python3`` as its first word means an interpreter that there is in the sandbox. Raises
    ``LabError`` where the submission is not there, or a tool is not.
    """
    if not argv:
        raise LabError("there is no command to run in the sandbox", hint="name a program")
    submission = _submission(sandbox)
    tools = find_tools()
    python = interpreter()
    outer_filter, inner_filter = _filters()
    recipe: Recipe = {
        "bwrap": tools.bwrap,
        "limits": _limits(sandbox.limits),
        "scratch": {
            folder: {"size": sandbox.limits.scratch_bytes, "files": _MOST_FILES}
            for folder in _SCRATCH
        },
        "options": [
            *_namespaces(sandbox, can_forbid_users=tools.can_forbid_users),
            *_system(sandbox, python),
            *("--bind" if sandbox.is_writable else "--ro-bind", submission, "/submission"),
            *(word for pair in sandbox.environment.items() for word in ("--setenv", *pair)),
        ],
        "files": _accounts(_uid(sandbox)),
        "outer_filter": outer_filter,
        "inner_filter": inner_filter,
        "environment": _environment(python),
    }
    command = [
        *_without_powers(sandbox, tools.setpriv),
        # Here, not before: the limit is the user's, and the user has changed by now.
        *(tools.prlimit, f"--nproc={sandbox.limits.processes}", "--"),
        *([python.path, *argv[1:]] if argv[0] == "python3" else argv),
    ]
    return command, recipe


def exit_status_of(reported: int) -> int:
    """Return a sandboxed program's exit status; negative is the number of the signal that ended it.

    ``reported`` is what the lab's holder has. bwrap passes a signal on as 128 and its number, as
    a shell does, so a program that exits with ``is_ambiguous`` looks like one that was killed. A
    negative number means that the sandbox itself was ended, and so the program with it.
    """
    return 128 - reported if is_ambiguous(reported) else reported


def is_ambiguous(reported: int) -> bool:
    """Whether the status can be that of a signal or of a program that chose this number."""
    return 128 < reported <= 128 + 64


def _submission(sandbox: Sandbox) -> str:
    path = os.path.realpath(sandbox.submission)
    if not os.path.isabs(sandbox.submission) or not os.path.isdir(path):
        raise LabError(
            f'there is no folder "{sandbox.submission}"',
            hint="is the path of the submission right?",
        )
    if sandbox.is_rootless and f"{path}/".startswith("/run/"):
        raise LabError(
            f'"{sandbox.submission}" cannot be seen from a rootless lab, which has a /run of its own',
            hint="copy the submission elsewhere, such as below /tmp",
        )
    return path


def _limits(limits: Limits) -> dict[str, tuple[int, int]]:
    """Return (soft, hard) by the names of setrlimit(2)."""
    same = {
        "AS": limits.address_space_bytes,
        # Not 0: that would not keep the machine's own collector of crashes from starting (core(5)).
        "CORE": 1,
        "FSIZE": limits.file_bytes,
        "MEMLOCK": 65536,
        "MSGQUEUE": 0,
        "NOFILE": limits.open_files,
    }
    # First the signal that tells what it was.
    return {
        "CPU": (limits.cpu_s, limits.cpu_s + 1),
        **{name: (value, value) for name, value in same.items()},
    }


def _has_own_user(sandbox: Sandbox) -> bool:
    return not sandbox.is_rootless or sandbox.maps_uid


def _is_below_lab(sandbox: Sandbox) -> bool:
    """Whether it runs in a user namespace below the lab's."""
    return not _has_own_user(sandbox) and not sandbox.grants_raw


def _uid(sandbox: Sandbox) -> int:
    if _has_own_user(sandbox):
        return sandbox.uid
    return _INSIDE_UID if _is_below_lab(sandbox) else 0


def _namespaces(sandbox: Sandbox, *, can_forbid_users: bool) -> Iterator[str]:
    yield from ("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
    yield from ("--hostname", sandbox.hostname, "--die-with-parent", "--new-session")
    yield from ("--cap-drop", "ALL")
    if _is_below_lab(sandbox):
        yield from ("--unshare-user", "--uid", str(_INSIDE_UID), "--gid", str(_INSIDE_UID))
        if can_forbid_users:
            yield "--disable-userns"
        return
    # For `_without_powers`, which gives up all but raw sockets.
    powers = ("SETPCAP", "SETUID", "SETGID") if _has_own_user(sandbox) else ("SETPCAP",)
    for power in (*powers, "NET_RAW") if sandbox.grants_raw else powers:
        yield from ("--cap-add", f"CAP_{power}")


def _without_powers(sandbox: Sandbox, setpriv: str) -> Iterator[str]:
    if _is_below_lab(sandbox):
        return
    yield setpriv
    if _has_own_user(sandbox):
        yield from (f"--reuid={sandbox.uid}", f"--regid={sandbox.uid}", "--clear-groups")
    kept = "-all,+net_raw" if sandbox.grants_raw else "-all"
    yield from (f"--inh-caps={kept}", f"--ambient-caps={kept}", f"--bounding-set={kept}")
    yield from ("--no-new-privs", "--")


def _system(sandbox: Sandbox, python: Interpreter) -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for name in _ROOT_FOLDERS:
        if os.path.islink(f"/{name}"):
            yield from ("--symlink", os.readlink(f"/{name}"), f"/{name}")
        elif os.path.isdir(f"/{name}"):
            yield from ("--ro-bind", f"/{name}", f"/{name}")
    if python.folder:
        # A parent folder that bwrap makes by itself is closed to others.
        yield from ("--perms", "0755", "--dir", os.path.dirname(python.mounted_on))
        yield from ("--ro-bind", python.folder, python.mounted_on)
    for folder in _hidden(python):
        yield from ("--perms", "0755", "--tmpfs", folder, "--remount-ro", folder)
    yield from ("--perms", "0755", "--dir", "/etc")
    if sandbox.hosts_file:
        yield from ("--ro-bind", sandbox.hosts_file, "/etc/hosts")
    for name in _ETC if sandbox.hosts_file else ("hosts", *_ETC):
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")
    yield from ("--proc", "/proc", "--dev", "/dev")
    for name in _MACHINE_IN_PROC:
        yield from ("--ro-bind-try", f"/proc/{name}", f"/proc/{name}")


def _hidden(python: Interpreter) -> Iterator[str]:
    """Yield where in the sandbox labctl and the checks of exercises would be seen."""
    shown = {"/usr": "/usr"}
    if python.folder:
        shown[python.folder] = python.mounted_on
    own = [_package(), *(f"{folder}/exercises" for folder in search_path())]
    for path in dict.fromkeys(map(os.path.realpath, own)):
        for source, target in shown.items():
            inside = os.path.relpath(path, os.path.realpath(source))
            if os.path.isdir(path) and not inside.startswith(".."):
                yield os.path.join(target, inside)


def _package() -> str:
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _accounts(uid: int) -> dict[str, str]:
    """Return files in place of the machine's own, which name everybody who has an account."""
    users = {"root": 0, "student": uid or _INSIDE_UID, "nobody": 65534}
    return {
        "/etc/passwd": "".join(
            f"{name}:x:{number}:{number}::/work:/bin/sh\n" for name, number in users.items()
        ),
        "/etc/group": "".join(f"{name}:x:{number}:\n" for name, number in users.items()),
    }


def _environment(python: Interpreter) -> dict[str, str]:
    return {
        "PATH": f"{python.mounted_on}/bin:{_PATH}" if python.folder else _PATH,
        "HOME": "/work",
        "LANG": "C.UTF-8",
        # Its output goes into a pipe, where a line that waits in a buffer helps nobody.
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **({"LD_LIBRARY_PATH": f"{python.mounted_on}/lib"} if python.has_library else {}),
    }
