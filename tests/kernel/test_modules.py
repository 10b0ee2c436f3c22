"""The folder of modules is a real one, in which only what a test puts there can be found."""

import errno
import os
from pathlib import Path

import pytest

from labctl.kernel.modules import why_no_module
from tests.kernel.broken_machines import run_python

pytestmark = pytest.mark.kernel

_RELEASE = os.uname().release


def _why(module: str, folder: Path, modules: str, distribution: str = "debian") -> tuple[str, str]:
    """Return (why, fix) on a machine with these module files, for that distribution."""
    (folder / "os-release").write_text(f"ID={distribution}\n")
    # The overlay's own files on a disk that goes with it: an ordinary user could not remove them.
    breaking = f"""
mount -t tmpfs none /usr/lib/modules 2>/dev/null || {{
    mkdir {folder}/overlay
    mount -t tmpfs none {folder}/overlay
    mkdir {folder}/overlay/upper {folder}/overlay/work
    cd {folder}/overlay
    mount -t overlay -o lowerdir=/usr/lib,upperdir=upper,workdir=work,userxattr none /usr/lib
    cd /
    mkdir -p /usr/lib/modules
}}
mkdir -p /usr/lib/modules/{_RELEASE}
echo "{modules}" > /usr/lib/modules/{_RELEASE}/modules.dep
mount --bind {folder}/os-release /etc/os-release
"""
    script = f"""
import errno
from labctl.kernel.modules import why_no_module
print(*why_no_module({module!r}, OSError(errno.EOPNOTSUPP, "not supported")), sep="|")
"""
    done = run_python("-c", script, breaking=breaking, runtime=folder)
    assert done.stderr == ""
    why, fix = done.stdout.rstrip("\n").split("|")
    return why, fix


def test_a_module_that_lies_there_has_to_be_loaded(tmp_path: Path) -> None:
    file = "kernel/net/sched/sch_netem.ko.xz:"
    why, fix = _why("sch_netem", tmp_path, file)

    assert why == "the kernel module sch_netem is not loaded"
    assert fix.startswith("sudo modprobe sch_netem")


@pytest.mark.parametrize(
    ("distribution", "fix"),
    [
        ("ubuntu", f"sudo apt-get install linux-modules-extra-{_RELEASE}"),
        ("fedora", f"sudo dnf install kernel-modules-extra-{_RELEASE}"),
        ("debian", "boot a kernel that was built with CONFIG_NET_SCH_NETEM"),
    ],
)
def test_netem_is_in_a_package_of_its_own_on_some(
    tmp_path: Path, distribution: str, fix: str
) -> None:
    why, said = _why("sch_netem", tmp_path, "kernel/net/sched/sch_tbf.ko:", distribution)

    assert why == "this kernel has no sch_netem (CONFIG_NET_SCH_NETEM)"
    assert said == fix


def test_a_module_that_no_package_has_apart_needs_another_kernel(tmp_path: Path) -> None:
    _, fix = _why("veth", tmp_path, "", "ubuntu")

    assert fix == "boot a kernel that was built with CONFIG_VETH"


def test_another_error_is_not_blamed_on_the_module() -> None:
    why, fix = why_no_module("veth", PermissionError(errno.EPERM, "no"))

    assert why.endswith(": Operation not permitted")
    assert fix == ""
