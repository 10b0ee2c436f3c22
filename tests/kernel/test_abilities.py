"""Every machine here is really broken: see ``tests/kernel/broken_machines.py``."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from labctl.kernel import abilities
from tests.kernel.broken_machines import (
    CHECKOUT,
    DOCTOR,
    FILTER,
    doctor,
    read_doctor,
    run_python,
)

pytestmark = pytest.mark.kernel

HEALTHY = ":"
NO_USER_NAMESPACES = "echo 0 > /proc/sys/user/max_user_namespaces"
COVERED_PROC = "mount --bind /dev/null /proc/meminfo"
FEW_FILES = "ulimit -n 24"


def test_what_depends_on_a_failure_is_not_tried(tmp_path: Path) -> None:
    said = doctor(NO_USER_NAMESPACES, tmp_path)

    dependent = ("id map", "other namespaces", "own /proc", "named networks", "veth pair", "netem")
    assert said["probes"]["user namespace"]["status"] == "failed"
    assert {said["probes"][name]["status"] for name in dependent} == {"not tried"}
    assert said["probes"]["id map"]["detail"] == 'needs "user namespace"'


@pytest.mark.slow
@pytest.mark.parametrize(
    ("breaking", "works"),
    [(HEALTHY, True), (NO_USER_NAMESPACES, False), (COVERED_PROC, False), (FEW_FILES, False)],
)
def test_the_verdict_is_what_up_meets(tmp_path: Path, breaking: str, works: bool) -> None:
    said = doctor(breaking, tmp_path)
    up = run_python(
        *("-c", _UP_AND_DOWN, "star", "-p", "clients=9"), breaking=breaking, runtime=tmp_path
    )

    assert (said["mode"], said["rootless"]) == ("rootless", works)
    assert (said["exit_code"] == 0) is works
    assert (up.returncode == 0) is works, up.stdout + up.stderr


_UP_AND_DOWN = """
import sys
from labctl.cli import main
code = main(["up", *sys.argv[1:]])
main(["down", sys.argv[1]])
sys.exit(code)
"""


def test_the_limit_of_open_files_is_told_in_nodes_that_can_really_be_built(tmp_path: Path) -> None:
    limit = "ulimit -n 64"
    detail = doctor(limit, tmp_path)["probes"]["open files"]["detail"]
    nodes = int(detail.split(" of ")[1].split()[0])

    # A star has one node more than clients.
    up = run_python(
        *("-c", _UP_AND_DOWN, "star", "-p", f"clients={nodes - 1}"),
        breaking=limit,
        runtime=tmp_path,
    )

    assert up.returncode == 0, up.stderr


def test_too_few_open_files_come_with_the_command_that_allows_more(tmp_path: Path) -> None:
    files = doctor("ulimit -Sn 24", tmp_path)["probes"]["open files"]

    assert files["status"] == "failed"
    assert files["fix"] == "ulimit -n 1016"


def test_a_device_folder_without_tun_is_missing_and_not_a_failure(tmp_path: Path) -> None:
    said = doctor("mount -t tmpfs none /dev/net", tmp_path)

    assert said["probes"]["tun"]["status"] == "missing"
    assert "tun" in said["probes"]["tun"]["fix"]
    assert said["rootless"] is True


def test_a_sys_that_cannot_be_had_does_not_stop_labs(tmp_path: Path) -> None:
    said = doctor("mount -t tmpfs none /sys", tmp_path)

    assert said["probes"]["own /sys"]["status"] == "missing"
    assert said["rootless"] is True


def test_netem_is_there_exactly_where_tc_can_add_it(tmp_path: Path) -> None:
    command = "tc qdisc add dev lo root netem delay 1ms"
    by_hand = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", command],
        capture_output=True,
        check=False,
    )

    netem = doctor(HEALTHY, tmp_path)["probes"]["netem"]

    assert (netem["status"] == "ok") is (by_hand.returncode == 0), by_hand.stderr
    assert (netem["fix"] == "") is (by_hand.returncode == 0)


def test_bad_links_are_made_by_netem_where_it_is_there_and_otherwise_by_the_wire(
    tmp_path: Path,
) -> None:
    said = doctor(HEALTHY, tmp_path)

    netem = said["probes"]["netem"]
    assert said["probes"]["wire"]["status"] == "ok"
    assert said["impairments"] == ("netem" if netem["status"] == "ok" else "wire")
    assert said["impairments_why"] == (netem["detail"] or "the kernel has it")


@pytest.mark.netem
def test_a_kernel_with_netem_makes_links_bad_by_it() -> None:
    found = abilities.examine()

    assert (found.impairments, found.why) == ("netem", "the kernel has it")


def test_without_packet_sockets_labctl_cannot_make_links_bad(tmp_path: Path) -> None:
    packet_vnet_hdr = 15
    script = f"{FILTER}\nforbid('setsockopt', EPERM, {packet_vnet_hdr})\nbecome_doctor()"

    said = read_doctor(run_python("-c", script, breaking=HEALTHY, runtime=tmp_path))

    wire = said["probes"]["wire"]
    assert wire["status"] == "missing"
    assert wire["fix"] == "labctl up --impairments none LAB"
    has_netem = said["probes"]["netem"]["status"] == "ok"
    assert said["impairments"] == ("netem" if has_netem else None)
    assert said["rootless"] is has_netem


def test_what_makes_links_bad_is_unknown_where_no_network_can_be_had(tmp_path: Path) -> None:
    said = doctor(NO_USER_NAMESPACES, tmp_path)

    assert said["impairments"] is None
    assert said["impairments_why"] == 'not tried, needs "other namespaces"'


def test_the_backend_that_is_named_is_the_one_that_up_chooses(tmp_path: Path) -> None:
    said = doctor(HEALTHY, tmp_path)
    explained = run_python(
        *("-m", "labctl", "explain", "two_clients", "--json"), breaking=HEALTHY, runtime=tmp_path
    )

    steps = {step["step"] for step in json.loads(explained.stdout)["steps"]}
    assert ("CreateHiddenNamespace" in steps) is (said["impairments"] == "wire")


def test_a_program_that_is_not_installed_comes_with_its_package(tmp_path: Path) -> None:
    # labctl also looks where an ordinary user's path does not, so these have to be empty.
    hide = "for folder in /usr/sbin /sbin; do mount -t tmpfs none $folder; done"
    needed = tmp_path / "bin"
    needed.mkdir()
    for program in ("unshare", "sh", "mount", "setpriv"):
        (needed / program).symlink_to(shutil.which(program) or program)

    said = doctor(hide, tmp_path, PATH=str(needed))

    ping = said["probes"]["ping"]
    assert ping["status"] == "missing"
    assert ping["detail"] == "not installed; to see whether a node can be reached"
    assert "iputils-ping" in ping["fix"]
    assert said["rootless"] is True


def test_a_state_folder_that_others_can_enter_is_named(tmp_path: Path) -> None:
    (tmp_path / "labctl").mkdir(mode=0o755)

    said = doctor(HEALTHY, tmp_path)

    assert said["probes"]["state folder"]["status"] == "failed"
    assert said["probes"]["state folder"]["fix"].endswith(f"rm -r {tmp_path}/labctl")
    assert said["rootless"] is False


@pytest.mark.parametrize(("own_mounts", "status"), [((), "failed"), (("--mount",), "ok")])
def test_root_of_a_user_namespace_needs_mounts_of_its_own(
    own_mounts: tuple[str, ...], status: str
) -> None:
    command = ("unshare", "--user", "--map-root-user", *own_mounts, sys.executable, *DOCTOR)
    said = read_doctor(
        subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    )

    mounts = said["probes"]["root: mounts"]
    assert mounts["status"] == status
    assert said["mode"] == "root"
    if status == "failed":
        assert mounts["fix"] == "labctl up --rootless LAB"
        assert (said["root"], said["exit_code"]) == (False, 3)


def test_an_examination_leaves_the_process_and_the_machine_as_they_were() -> None:
    call = "from tests.kernel.test_abilities import examine_and_compare; examine_and_compare()"
    # Root's labs of other tests come and go in the mounts that all processes share.
    own_mounts = ["unshare", "--mount"] if os.geteuid() == 0 else []
    command = [*own_mounts, sys.executable, "-c", call]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def examine_and_compare() -> None:
    """Examine the machine, and assert that all is as before; called in a process of its own."""
    before = _surroundings()

    abilities.examine()

    assert _surroundings() == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def _mounts() -> list[str]:
    """Return the mounts but for the names of network namespaces.

    Those of other tests' labs vanish here as well, when their files are removed.
    """
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if " - nsfs " not in line or "/run/netns/" not in line]


def _surroundings() -> dict[str, Any]:
    kinds = ("user", "mnt", "net", "pid", "pid_for_children", "ipc", "uts")
    return {
        "namespaces": [str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in kinds],
        "mounts": _mounts(),
        "interfaces": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "descriptors": sorted(path.name for path in Path("/proc/self/fd").iterdir()),
        "ids": (os.getresuid(), os.getresgid()),
    }
