"""What a lab without root needs around it: an id map, and /proc, /run and /etc of its own."""

import os

from labctl.errors import LabError, machine_error
from labctl.kernel.joining import HOSTS_DIRECTORY, LAB_DIRECTORY, NETNS_DIRECTORY, SHIMS_DIRECTORY
from labctl.kernel.namespaces import (
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_REC,
    MS_SLAVE,
    mount,
    sethostname,
    unshare,
)
from labctl.kernel.setgroups import pretend_setgroups

_SHIMS = {
    # Inside a rootless lab the user is root already, and the host's sudo does not work: its
    # owner, the host's root, is nobody here.
    "sudo": """#!/bin/sh
while :; do
  case "$1" in
    -u|-g|-p|-C) shift 2 ;;
    -*) shift ;;
    *=*) export "$1"; shift ;;
    *) break ;;
  esac
done
[ $# -gt 0 ] || { echo "usage: sudo COMMAND (in a lab you are root already)" >&2; exit 1; }
exec "$@"
""",
    # tcpdump gives up root for a user of its own, who does not exist here.
    "tcpdump": """#!/bin/sh
PATH=${PATH#*/run/labctl/bin:}
command -v tcpdump >/dev/null || { echo "tcpdump: not installed" >&2; exit 127; }
exec tcpdump -Z root "$@"
""",
}
"""Programs of the host that cannot work for a root who is only root in the lab."""


SLOTS = 400_000_000
"""The first of the users whom sandboxed programs run as, in root's labs."""
_SLOT_COUNT = 1 << 22  # one for each process that can be, PID_MAX_LIMIT


def unshare_all(flags: int) -> None:
    """Enter new namespaces as the root of a user namespace that holds only the caller.

    For the machine's root it also holds the users of sandboxes: as himself, nobody is kept from
    what he may. Raises ``LabError`` with what to do where the machine does not allow it.
    """
    uid, gid = os.geteuid(), os.getegid()
    mapper = _fork_mapper() if uid == 0 else None
    try:
        unshare(flags)
    except OSError as error:
        raise _refused(error) from error
    if mapper is not None and _is_mapped_by(*mapper):
        return
    try:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {uid} 1")
        _write("/proc/self/gid_map", f"0 {gid} 1")
    except OSError as error:
        raise _refused(error) from error


def _fork_mapper() -> tuple[int, int]:
    """Start a process that maps this one's users when told; only from outside several can be."""
    unshared, tell = os.pipe2(os.O_CLOEXEC)
    owner = os.getpid()
    pid = os.fork()
    if pid != 0:
        os.close(unshared)
        return pid, tell
    try:
        os.close(tell)
        if os.read(unshared, 1):
            for name in ("uid_map", "gid_map"):
                _write(f"/proc/{owner}/{name}", f"0 0 1\n{SLOTS} {SLOTS} {_SLOT_COUNT}\n")
            os._exit(0)
    finally:
        os._exit(1)  # in a container that has no such users, or whose root may not map them


def _is_mapped_by(pid: int, tell_fd: int) -> bool:
    os.write(tell_fd, b"u")
    os.close(tell_fd)
    _, status = os.waitpid(pid, 0)
    return status == 0


def _refused(error: OSError) -> LabError:
    # Imported only here: it looks at many things, and nearly nobody needs it.
    from labctl.kernel.blockers import why_no_user_namespace

    why, fix = why_no_user_namespace(error)
    return machine_error(f"this machine does not let you make namespaces: {why}", hint=fix)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def prepare_mounts(lab: str) -> str:
    """Give the lab its own /proc, /run and /etc; return where the nodes' hosts files go.

    Called in the holder, once it is pid 1 of its pid namespace. Raises ``OSError``.
    """
    # Slave: a private tree would pin the host's mounts for as long as the lab lives.
    mount(None, "/", flags=MS_REC | MS_SLAVE)
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=64m")
    for directory in (NETNS_DIRECTORY, LAB_DIRECTORY, HOSTS_DIRECTORY, SHIMS_DIRECTORY):
        os.mkdir(directory, 0o755)
    for name, text in _SHIMS.items():
        path = f"{SHIMS_DIRECTORY}/{name}"
        _write_new(path, text)
        os.chmod(path, 0o755)
    _own_etc_netns()
    sethostname(lab)
    pretend_setgroups()
    return HOSTS_DIRECTORY


def _write_new(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o755)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _own_etc_netns() -> None:
    """Make /etc/netns show the lab's hosts files, for ``ip netns exec``.

    Where /etc/netns does not exist an overlay gives /etc room for it (since Linux 5.11 without
    root). Without it only ``ip netns exec`` misses the nodes' names; ``labctl exec`` does not.
    """
    try:
        if not os.path.isdir("/etc/netns"):
            layers = f"{LAB_DIRECTORY}/overlay"
            os.makedirs(f"{layers}/upper")
            os.makedirs(f"{layers}/work")
            mount(
                "overlay",
                "/etc",
                "overlay",
                options=f"lowerdir=/etc,upperdir={layers}/upper,workdir={layers}/work,userxattr",
            )
            os.mkdir("/etc/netns", 0o755)
        mount(HOSTS_DIRECTORY, "/etc/netns", flags=MS_BIND)
    except OSError:
        pass
