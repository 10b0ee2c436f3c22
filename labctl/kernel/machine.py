"""What kind of machine this is: container, chroot, WSL, distribution. Reads, changes nothing."""

import os
import shlex

_PROC_PID_INIT_INO = 0xEFFF_FFFC
"""The inode of the first pid namespace on every machine (include/linux/proc_ns.h)."""


def read_text(path: str) -> str:
    """Return what a file of /proc, /sys or /etc says; empty where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def sysctl(key: str) -> str:
    """Return a sysctl's value; empty where the kernel has no such setting."""
    return read_text("/proc/sys/" + key.replace(".", "/"))


def container() -> str:
    """Return which kind of container this process runs in; empty where it seems to be in none."""
    if _is_initial_pid_namespace():
        return ""  # a machine whose disk was made from a container's image has its marks too
    if os.path.exists("/.dockerenv"):
        return "docker"
    if os.path.exists("/run/.containerenv"):
        return "podman"
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    # In small letters, as systemd and podman set it (https://systemd.io/CONTAINER_INTERFACE).
    return read_text("/run/systemd/container") or os.environ.get("container", "")  # noqa: SIM112


def _is_initial_pid_namespace() -> bool:
    try:
        return os.stat("/proc/self/ns/pid").st_ino == _PROC_PID_INIT_INO
    except OSError:
        return False


def is_wsl() -> bool:
    """Whether this is Linux under Windows."""
    return "microsoft" in os.uname().release.lower()


def is_wsl1() -> bool:
    """Whether this is the first WSL, which has no Linux kernel at all."""
    # WSL 2 calls itself "-microsoft-standard", in small letters.
    return os.uname().release.endswith("-Microsoft")


def has_seccomp_filter() -> bool:
    """Whether somebody has taken system calls away from this process (seccomp(2))."""
    return status_field("Seccomp") == "2"


def status_field(name: str) -> str:
    """Return a line of /proc/self/status, such as ``CapEff``; empty where there is none."""
    for line in read_text("/proc/self/status").splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return value.strip()
    return ""


def is_chroot() -> bool:
    """Whether this is certainly a chroot; one whose folder is a mount point may go unnoticed."""
    points = mount_points()
    if points and "/" not in points:
        return True
    try:
        same_mounts = os.readlink("/proc/1/ns/mnt") == os.readlink("/proc/self/ns/mnt")
        theirs = os.stat("/proc/1/root/.")
    except OSError:
        return False  # only root may look
    own = os.stat("/")
    return same_mounts and (theirs.st_dev, theirs.st_ino) != (own.st_dev, own.st_ino)


def mount_points() -> list[str]:
    """Return the mount points that this process sees (proc_pid_mountinfo(5))."""
    lines = read_text("/proc/self/mountinfo").splitlines()
    return [line.split(" ")[4] for line in lines]


def is_initial_user_namespace() -> bool:
    """Whether this process is in no user namespace but the machine's own."""
    return read_text("/proc/self/uid_map").split() == ["0", "0", "4294967295"]


def is_mapped(uid: int) -> bool:
    """Whether the user namespace of this process knows a uid."""
    for line in read_text("/proc/self/uid_map").splitlines():
        inside, _, count = (int(word) for word in line.split())
        if inside <= uid < inside + count:
            return True
    return False


def distributions() -> list[str]:
    """Return the distribution's id, then those that it is like (os-release(5))."""
    fields = {}
    for line in read_text("/etc/os-release").splitlines():
        key, equals, value = line.partition("=")
        if equals:
            fields[key] = " ".join(shlex.split(value))
    return [*fields.get("ID", "").split(), *fields.get("ID_LIKE", "").split()]


def has_misc_device(name: str) -> bool:
    """Whether the kernel has a driver of this name now, with or without a file in /dev."""
    return name in read_text("/proc/misc").split()
