"""Each blocker is met for real, by the doctor, on a machine that has it."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from labctl.kernel.blockers import (
    why_no_id_map,
    why_no_proc,
    why_no_root_namespace,
    why_no_user_namespace,
)
from tests.kernel.broken_machines import (
    CHECKOUT,
    DOCTOR,
    FILTER,
    doctor,
    read_doctor,
    run_python,
)

pytestmark = pytest.mark.kernel


def test_user_namespaces_switched_off(tmp_path: Path) -> None:
    said = doctor("echo 0 > /proc/sys/user/max_user_namespaces", tmp_path)

    probe = said["probes"]["user namespace"]
    assert probe["detail"] == "user.max_user_namespaces is 0"
    assert probe["fix"].startswith("sudo sysctl -w user.max_user_namespaces=15000")


@pytest.mark.parametrize("kind", ["mnt", "net", "pid", "ipc", "uts"])
def test_another_kind_of_namespace_switched_off(tmp_path: Path, kind: str) -> None:
    said = doctor(f"echo 0 > /proc/sys/user/max_{kind}_namespaces", tmp_path)

    probe = said["probes"]["other namespaces"]
    assert probe["status"] == "failed"
    assert probe["detail"] == f"user.max_{kind}_namespaces is 0"
    assert probe["fix"].startswith(f"sudo sysctl -w user.max_{kind}_namespaces=15000")
    assert said["rootless"] is False


def test_user_namespaces_nested_too_deep(tmp_path: Path) -> None:
    nest = """
import os, sys
from labctl.kernel.namespaces import CLONE_NEWUSER, unshare
for level in range(40):
    try:
        unshare(CLONE_NEWUSER)
    except OSError:
        break
    for name, text in (("setgroups", "deny"), ("uid_map", "1000 1000 1"), ("gid_map", "1000 1000 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
assert 20 < level < 39
os.execv(sys.executable, [sys.executable, "-m", "labctl", "doctor", "--json"])
"""
    said = read_doctor(run_python("-c", nest, breaking=":", runtime=tmp_path))

    probe = said["probes"]["user namespace"]
    assert probe["detail"].startswith("user namespaces are nested too deep")
    assert "outside" in probe["fix"]


@pytest.mark.parametrize("answer", ["EPERM", "KILL"])
def test_a_seccomp_filter(tmp_path: Path, answer: str) -> None:
    script = f"{FILTER}\nforbid('unshare', {answer})\nbecome_doctor()"

    said = read_doctor(run_python("-c", script, breaking=":", runtime=tmp_path))

    probe = said["probes"]["user namespace"]
    assert probe["status"] == "failed"
    assert probe["detail"].startswith("a seccomp filter ")
    assert probe["detail"].endswith(" refuses user namespaces")
    assert probe["fix"] != ""


def test_the_restriction_of_debian_kernels(tmp_path: Path) -> None:
    script = f"{FILTER}\nforbid('unshare', EPERM)\nbecome_doctor()"

    said = read_doctor(
        run_python("-c", script, breaking=_kernel_setting(_DEBIAN, "0"), runtime=tmp_path)
    )

    probe = said["probes"]["user namespace"]
    assert probe["detail"] == "kernel.unprivileged_userns_clone is 0"
    assert probe["fix"].startswith("sudo sysctl -w kernel.unprivileged_userns_clone=1")


def test_the_restriction_of_ubuntu_strikes_at_the_id_map(tmp_path: Path) -> None:
    # The files of the id map are the only ones that labctl opens with just these flags.
    flags = os.O_WRONLY | os.O_CLOEXEC
    script = f"{FILTER}\nforbid('openat', EPERM, {flags})\nbecome_doctor()"

    said = read_doctor(
        run_python("-c", script, breaking=_kernel_setting(_UBUNTU, "1"), runtime=tmp_path)
    )

    assert said["probes"]["user namespace"]["status"] == "ok"
    probe = said["probes"]["id map"]
    assert probe["detail"].startswith("AppArmor keeps ordinary users from namespaces")
    assert probe["fix"].startswith(f"sudo sysctl -w kernel.{_UBUNTU}=0")
    assert said["exit_code"] == 3


_DEBIAN = "unprivileged_userns_clone"
_UBUNTU = "apparmor_restrict_unprivileged_userns"


def _kernel_setting(name: str, value: str) -> str:
    """Return the script that gives the machine a setting which other kernels have."""
    return f"mount -t tmpfs none /proc/sys/kernel\necho {value} > /proc/sys/kernel/{name}"


def test_a_chroot(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    make = f"""
for path in /*; do
    if [ -L "$path" ]; then cp -P "$path" {root}/; continue; fi
    [ -d "$path" ] || continue
    mkdir {root}$path
    mount --rbind $path {root}$path
done
"""
    inside = f"""
import os, sys
os.chroot({str(root)!r})
os.chdir({str(CHECKOUT)!r})
os.execvp("setpriv", ["setpriv", "--inh-caps=-all", "--ambient-caps=-all", "--",
          sys.executable, "-m", "labctl", "doctor", "--json"])
"""
    breaking = f"{make}\nexec {sys.executable} -c '{inside.replace(chr(39), chr(34))}'"

    said = read_doctor(run_python(breaking=breaking, runtime=tmp_path))

    probe = said["probes"]["user namespace"]
    assert probe["detail"] == "this is a chroot, where the kernel refuses user namespaces"
    assert probe["fix"] == "sudo labctl up --root LAB"


def test_a_user_without_a_place_in_the_namespace_around(tmp_path: Path) -> None:
    done = subprocess.run(
        ["unshare", "--user", sys.executable, *DOCTOR],
        cwd=CHECKOUT,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    probe = read_doctor(done)["probes"]["user namespace"]
    assert probe["detail"].endswith("has no place in the user namespace that labctl runs in")
    assert "outside" in probe["fix"]


def test_covered_parts_of_proc(tmp_path: Path) -> None:
    said = doctor(
        "for name in meminfo cpuinfo stat; do mount --bind /dev/null /proc/$name; done", tmp_path
    )

    probe = said["probes"]["own /proc"]
    assert probe["status"] == "failed"
    assert "parts of /proc are covered (/proc/meminfo, /proc/cpuinfo and 1 more)" in probe["detail"]
    assert probe["fix"] != ""
    assert (said["rootless"], said["exit_code"]) == (False, 3)


def test_a_refusal_inside_the_new_namespace_is_blamed_on_the_id_map(tmp_path: Path) -> None:
    script = """
import errno
from labctl.kernel.blockers import why_no_user_namespace
from labctl.kernel.namespaces import CLONE_NEWUSER, unshare
unshare(CLONE_NEWUSER)
why, fix = why_no_user_namespace(PermissionError(errno.EPERM, "Operation not permitted"))
print(why)
"""
    done = run_python("-c", script, breaking=_kernel_setting(_UBUNTU, "1"), runtime=tmp_path)

    assert done.stderr == ""
    assert done.stdout.startswith("AppArmor keeps ordinary users from namespaces")


def test_an_error_nobody_foresaw_keeps_the_kernels_words() -> None:
    strange = OSError(errno.ENOMEM, "whatever")

    for explain in (why_no_user_namespace, why_no_id_map, why_no_proc, why_no_root_namespace):
        why, fix = explain(strange)
        assert why.endswith(": Cannot allocate memory")
        assert fix != ""
