import ast
import subprocess
from pathlib import Path

import pytest

from labctl.kernel import machine
from tests.kernel.broken_machines import FILTER, run_python


def _said(*expressions: str, breaking: str = ":", before: str = "", runtime: Path) -> str:
    """Return what functions of the module say on a machine of its own."""
    calls = ", ".join(f"machine.{expression}" for expression in expressions)
    script = f"{before}\nfrom labctl.kernel import machine\nprint({calls})"
    done = run_python("-c", script, breaking=breaking, runtime=runtime)
    assert done.stderr == ""
    return done.stdout.rstrip("\n")


def test_a_setting_that_the_kernel_lacks_is_empty() -> None:
    assert machine.sysctl("kernel.ostype") == "Linux"
    assert machine.sysctl("kernel.there_is_no_such_setting") == ""


@pytest.mark.kernel
def test_a_user_namespace_is_not_the_initial_one(tmp_path: Path) -> None:
    assert _said("is_initial_user_namespace()", runtime=tmp_path) == "False"


@pytest.mark.kernel
def test_only_the_ids_of_the_map_are_mapped(tmp_path: Path) -> None:
    calls = [f"is_mapped({uid})" for uid in (999, 1000, 1001)]
    assert _said(*calls, runtime=tmp_path) == "False True False"


_LXC = "mount -t tmpfs none /run && mkdir /run/systemd && echo lxc > /run/systemd/container"
_OWN_PIDS = 'exec unshare --pid --fork --mount-proc -- "$@"'


@pytest.mark.kernel
def test_a_container_is_known_by_its_marks(tmp_path: Path) -> None:
    # Where the tests run in a container of docker's, its mark is seen first.
    wanted = "docker" if Path("/.dockerenv").exists() else "lxc"
    assert _said("container()", breaking=f"{_LXC}\n{_OWN_PIDS}", runtime=tmp_path) == wanted


@pytest.mark.kernel
def test_marks_that_came_with_the_disk_of_a_whole_machine_do_not_count(tmp_path: Path) -> None:
    # Unless the tests themselves run in a container.
    is_whole = Path("/proc/self/ns/pid").stat().st_ino == 0xEFFF_FFFC
    said = _said("container()", breaking=_LXC, runtime=tmp_path)
    assert (said == "") is is_whole


@pytest.mark.kernel
def test_a_seccomp_filter_is_noticed(tmp_path: Path) -> None:
    filtered = f"{FILTER}\nforbid('unshare', EPERM)"
    assert _said("has_seccomp_filter()", before=filtered, runtime=tmp_path) == "True"


@pytest.mark.kernel
def test_mount_points_are_those_that_the_kernel_lists_elsewhere_too(tmp_path: Path) -> None:
    elsewhere = 'print([line.split()[1] for line in open("/proc/self/mounts")])'
    said = _said("mount_points()", before=elsewhere, runtime=tmp_path)

    # Nobody mounts anything on a machine of its own; but when the labs of other tests give up their
    # names, these vanish there as well.
    listed, found = (
        [point for point in ast.literal_eval(line) if not point.startswith("/run/netns/")]
        for line in said.splitlines()
    )
    assert "/" in found
    assert found == listed


def test_the_distribution_is_read_as_a_shell_reads_it() -> None:
    script = ". /etc/os-release; echo $ID $ID_LIKE"
    shell = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert machine.distributions() == shell.stdout.split()


def test_the_kernel_tells_which_drivers_it_has() -> None:
    names = [line.split()[1] for line in Path("/proc/misc").read_text().splitlines()]
    assert names != []
    assert all(machine.has_misc_device(name) for name in names)
    assert not machine.has_misc_device("no-such-driver")
