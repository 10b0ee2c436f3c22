"""Puts a process into a node: its network, its /sys, its hosts file.

The same for a program that the holder starts and for a command that ``labctl exec`` brings in.
"""

import os

from labctl.kernel.namespaces import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_RDONLY,
    MS_REC,
    MS_SLAVE,
    mount,
    setns,
    unmount,
    unshare,
)

NETNS_DIRECTORY = "/run/netns"
LAB_DIRECTORY = "/run/labctl"
"""Inside a rootless lab, its own: hosts files, and programs that stand in for the host's."""
HOSTS_DIRECTORY = f"{LAB_DIRECTORY}/etc"
SHIMS_DIRECTORY = f"{LAB_DIRECTORY}/bin"
_OF_ROOT = ("/usr/local/sbin", "/usr/sbin", "/sbin")

_ST_RDONLY = 1
_PLAIN = MS_NOSUID | MS_NODEV | MS_NOEXEC


def path_inside(path: str | None) -> str:
    """Return the PATH of a command in a rootless lab, from that of its user.

    There the user is root, and finds root's commands too: on Debian sysctl(8), for one, is in a
    folder that is on nobody else's PATH.
    """
    folders = (path or os.defpath).split(":")
    return ":".join([SHIMS_DIRECTORY, *folders, *(one for one in _OF_ROOT if one not in folders)])


def enter_node(netns: str, hosts_directory: str, *, mount_proc: bool, netns_file: str = "") -> None:
    """Join a node's network, and give the process a mount namespace that fits it.

    Like ``ip netns exec`` (ip-netns(8)): a new /sys, and the files of the node's own folder over
    those in /etc. ``netns_file`` is given for a namespace without a name. ``mount_proc`` is for a process whose pid namespace differs from that of the
    /proc it sees. Raises ``OSError``.
    """
    fd = os.open(netns_file or f"{NETNS_DIRECTORY}/{netns}", os.O_RDONLY | os.O_CLOEXEC)
    setns(fd, CLONE_NEWNET)
    os.close(fd)
    unshare(CLONE_NEWNS)
    # Slave, not private: what the host mounts later still shows, what is done here does not leak.
    mount(None, "/", flags=MS_REC | MS_SLAVE)
    _mount_sysfs(netns)
    if mount_proc:
        mount("proc", "/proc", "proc", _PLAIN)
    folder = f"{hosts_directory}/{netns}"
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        names = []
    for name in names:
        try:
            mount(f"{folder}/{name}", f"/etc/{name}", flags=MS_BIND)
        except FileNotFoundError:
            pass  # the host has no such file to put it over


def _mount_sysfs(netns: str) -> None:
    read_only = os.statvfs("/sys").f_flag & _ST_RDONLY
    try:
        unmount("/sys")
    except OSError:
        pass  # locked by the user namespace, or not a mount: a second one on top will do
    try:
        mount(netns, "/sys", "sysfs", _PLAIN | (MS_RDONLY if read_only else 0))
    except OSError:
        # A container that masks parts of /sys refuses a new one. Only tools that read
        # /sys/class/net notice; `labctl doctor` reports it.
        pass
