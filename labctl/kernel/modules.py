"""Where a part of the kernel comes from that is not there: the module, the package that has it."""

import errno
import os

from labctl.kernel.blockers import as_root, on_host
from labctl.kernel.machine import distributions, is_wsl, read_text

_OPTIONS = {
    "bridge": "CONFIG_BRIDGE",
    "overlay": "CONFIG_OVERLAY_FS",
    "sch_netem": "CONFIG_NET_SCH_NETEM",
    "tun": "CONFIG_TUN",
    "veth": "CONFIG_VETH",
}

_IN_EXTRA_PACKAGES = ("sch_netem",)
"""Modules that distributions ship apart from the kernel."""


_NOT_THERE = (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EOPNOTSUPP)
"""What kernels answer when the module is what is missing."""


def why_no_module(module: str, error: OSError) -> tuple[str, str]:
    """Return (why, fix) for an error met when using what a module provides."""
    if error.errno not in _NOT_THERE:
        reason = os.strerror(error.errno or errno.EIO)
        return f"the kernel refuses what its module {module} does: {reason}", ""
    release = os.uname().release
    folder = f"/lib/modules/{release}"
    if f"/{module}.ko" in read_text(f"{folder}/modules.dep"):
        return f"the kernel module {module} is not loaded", on_host(as_root(f"modprobe {module}"))
    why = f"this kernel has no {module} ({_OPTIONS[module]})"
    if is_wsl():
        return why, "wsl.exe --update"
    names = distributions()
    if os.path.isdir(folder) and module in _IN_EXTRA_PACKAGES:
        if "ubuntu" in names:
            return why, as_root(f"apt-get install linux-modules-extra-{release}")
        if "fedora" in names or "rhel" in names:
            return why, as_root(f"dnf install kernel-modules-extra-{release}")
    return why, f"boot a kernel that was built with {_OPTIONS[module]}"
