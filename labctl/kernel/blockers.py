"""Names what keeps a machine from making namespaces, with the command that mends it.

Each function takes the ``OSError`` of what was tried and returns (why, fix). ``fix`` is a line to
paste wherever there is one. Nothing here tries anything: see ``labctl.kernel.probes``.
"""

import errno
import os

from labctl.kernel.machine import (
    container,
    has_seccomp_filter,
    is_chroot,
    is_initial_user_namespace,
    is_mapped,
    is_wsl1,
    mount_points,
    read_text,
    sysctl,
)

NAMESPACE_KINDS = ("user", "mnt", "net", "pid", "ipc", "uts")
"""As in /proc/self/ns and in the names of the limits, ``user.max_KIND_namespaces``."""

_REFUSED = (errno.EPERM, errno.EACCES)
_APPARMOR = "kernel.apparmor_restrict_unprivileged_userns"
_DEBIAN = "kernel.unprivileged_userns_clone"
_OUTSIDE = "run labctl outside of the container or namespace that it is in"

_OPEN_CONTAINER = {
    "docker": "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined IMAGE",
    "podman": "podman run --security-opt seccomp=unconfined --security-opt unmask=ALL IMAGE",
    "lxc": "lxc config set NAME security.nesting true && lxc restart NAME",
}
"""How to start a container in which user namespaces work; nothing else of the host is opened."""

_PRIVILEGED_CONTAINER = {
    "docker": "docker run --privileged IMAGE",
    "podman": "sudo podman run --privileged IMAGE",
}
"""How to start a container whose root may make namespaces of the host's."""


def why_no_user_namespace(error: OSError) -> tuple[str, str]:
    """Name what refused a user namespace to an ordinary user.

    May be called where ``unshare`` failed and, inside the new namespace, where writing its id
    map failed. The flags of other namespaces may have been part of the same call.
    """
    if not os.path.exists("/proc/self/status"):
        return "/proc is not mounted", as_root("mount -t proc proc /proc")
    if is_wsl1():
        distribution = os.environ.get("WSL_DISTRO_NAME", "Ubuntu")
        return "WSL 1 has no Linux kernel", f"wsl.exe --set-version {distribution} 2"
    for kind in NAMESPACE_KINDS:
        if not os.path.exists(f"/proc/self/ns/{kind}"):
            return _not_in_kernel(kind)
    # A namespace without a map is labctl's new one, or one around it in which nobody has a place.
    if not read_text("/proc/self/uid_map") and not (error.strerror or "").startswith("unshare:"):
        return why_no_id_map(error)
    if error.errno in (errno.ENOSPC, errno.EUSERS):
        return _limit_reached(NAMESPACE_KINDS)
    if error.errno not in _REFUSED:
        return f"the kernel refuses user namespaces: {_text(error)}", _root_mode()
    if sysctl(_DEBIAN) == "0" and os.geteuid() != 0:
        return _switched_off(_DEBIAN, "1")
    if is_chroot():
        return "this is a chroot, where the kernel refuses user namespaces", _root_mode()
    if not is_mapped(os.geteuid()):
        return (
            f"uid {os.geteuid()} has no place in the user namespace that labctl runs in",
            _OUTSIDE,
        )
    return _forbidden("user namespaces", error)


def why_no_id_map(error: OSError) -> tuple[str, str]:
    """Name what refused the id map of a new user namespace."""
    if error.errno == errno.EROFS:
        return "/proc is mounted read-only", as_root("mount -o remount,bind,rw /proc")
    if error.errno not in _REFUSED:
        return f"the kernel refuses the id map of a user namespace: {_text(error)}", _root_mode()
    # Ubuntu 23.10 and later let everybody make a user namespace and then give no rights in it.
    if sysctl(_APPARMOR) == "1":
        return _apparmor()
    return _forbidden("the id map of a user namespace", error)


def why_no_namespace(kind: str, error: OSError) -> tuple[str, str]:
    """Name what refused a namespace of another kind inside a user namespace."""
    if not os.path.exists(f"/proc/self/ns/{kind}"):
        return _not_in_kernel(kind)
    if error.errno == errno.ENOSPC:
        return _limit_reached((kind,))
    if error.errno in _REFUSED:
        if sysctl(_APPARMOR) == "1" and os.geteuid() != 0:
            return _apparmor()
        return _forbidden(f"{kind} namespaces", error)
    return f"the kernel refuses {kind} namespaces: {_text(error)}", _root_mode()


def why_no_root_namespace(error: OSError) -> tuple[str, str]:
    """Name what refused namespaces to root."""
    if error.errno == errno.ENOSPC:
        return _limit_reached(("net", "pid"))
    where = container()
    if error.errno in _REFUSED and where:
        return (
            f"this container ({where}) does not let its root make namespaces",
            _PRIVILEGED_CONTAINER.get(where, "start the container privileged"),
        )
    if error.errno in _REFUSED:
        return "root has no CAP_SYS_ADMIN here", "run labctl in a plain root shell: sudo -i"
    return f"the kernel refuses namespaces to root: {_text(error)}", "labctl up --rootless LAB"


def why_no_proc(error: OSError) -> tuple[str, str]:
    """Name what refused a /proc of the lab's own."""
    covered = [
        point
        for point in mount_points()
        # Covering a folder that is always empty hides nothing, and the kernel knows that.
        if point.startswith("/proc/") and not point.startswith("/proc/sys/fs/binfmt_misc")
    ]
    if error.errno not in _REFUSED or not covered:
        return f"the kernel refuses to mount /proc: {_text(error)}", _open_container(_OUTSIDE)
    more = f" and {len(covered) - 2} more" if len(covered) > 2 else ""
    why = (
        f"parts of /proc are covered ({', '.join(covered[:2])}{more}), and so the kernel refuses "
        "a new one"
    )
    return why, _open_container(as_root(f"umount {' '.join(covered)}"))


def why_no_mount(target: str, error: OSError) -> tuple[str, str]:
    """Name what refused any other mount of the lab's own."""
    if error.errno == errno.ENOENT:
        return f"there is no {target}", as_root(f"mkdir {target}")
    if error.errno in _REFUSED:
        return _forbidden(f"a mount on {target}", error)
    return f"the kernel refuses a mount on {target}: {_text(error)}", ""


def _limit_reached(kinds: tuple[str, ...]) -> tuple[str, str]:
    for kind in kinds:
        key = f"user.max_{kind}_namespaces"
        if sysctl(key) == "0":
            return _switched_off(key, "15000")
    if not is_initial_user_namespace():
        # Only the namespaces around this one know which, and they cannot be seen from here.
        return (
            "user namespaces are nested too deep (the kernel allows 33 levels), or a limit "
            "outside of this namespace is reached",
            _OUTSIDE,
        )
    limits = {key: sysctl(key) for key in (f"user.max_{kind}_namespaces" for kind in kinds)}
    key, value = min(limits.items(), key=lambda limit: int(limit[1] or 0))
    return (
        f"as many namespaces are in use as {key} allows ({value})",
        _set(key, str(2 * int(value or 0))),
    )


def _not_in_kernel(kind: str) -> tuple[str, str]:
    option = "CONFIG_NAMESPACES" if kind == "mnt" else f"CONFIG_{kind.upper()}_NS"
    why = f"this kernel has no {kind} namespaces ({option})"
    return why, _root_mode() if kind == "user" else f"boot a kernel that was built with {option}"


def _switched_off(key: str, wanted: str) -> tuple[str, str]:
    return f"{key} is 0", _set(key, wanted)


def _set(key: str, value: str) -> str:
    return on_host(as_root(f"sysctl -w {key}={value}"))


def _apparmor() -> tuple[str, str]:
    return f"AppArmor keeps ordinary users from namespaces ({_APPARMOR} is 1)", _set(_APPARMOR, "0")


def _forbidden(what: str, error: OSError) -> tuple[str, str]:
    where = container()
    if has_seccomp_filter():
        owner = f"of this container ({where})" if where else "on this process"
        # Without a container it is a sandbox that somebody else's program has put around labctl.
        return f"a seccomp filter {owner} refuses {what}", _open_container(
            "run labctl from a plain login shell"
        )
    if sysctl(_APPARMOR) == "1" and os.geteuid() != 0:
        return _apparmor()
    if where:
        return f"a policy of this container ({where}) refuses {what}", _open_container("")
    return (
        f"{_text(error)}: a chroot or a security module (AppArmor, SELinux) refuses {what}",
        _root_mode(),
    )


def _open_container(otherwise: str) -> str:
    where = container()
    if not where:
        return otherwise
    return _OPEN_CONTAINER.get(where, "start the container with user namespaces allowed")


def on_host(command: str) -> str:
    """Return a command with a note where it must not be typed in the container."""
    return f"{command}  # on the machine that runs the container" if container() else command


def as_root(command: str) -> str:
    """Return a command as this user has to type it."""
    return command if os.geteuid() == 0 else f"sudo {command}"


def _root_mode() -> str:
    return as_root("labctl up --root LAB")


def _text(error: OSError) -> str:
    return os.strerror(error.errno or errno.EIO)
