import os
import subprocess
from pathlib import Path

import pytest

from labctl.kernel import processes
from labctl.kernel.netem_present import has_netem
from tests.own_namespace import run_in_namespace


@pytest.mark.kernel
def test_it_says_what_tc_finds() -> None:
    words = ("unshare", "--user", "--map-root-user", "--net", "tc", "qdisc", "add", "dev", "lo")
    done = subprocess.run([*words, "root", "netem"], capture_output=True, check=False)

    assert has_netem() == (done.returncode == 0)


@pytest.mark.kernel
def test_it_changes_nothing_here() -> None:
    before = [Path("/proc/self/ns", kind).readlink() for kind in ("net", "user")]
    children = set(processes.children(os.getpid()))

    has_netem()

    assert [Path("/proc/self/ns", kind).readlink() for kind in ("net", "user")] == before
    assert set(processes.children(os.getpid())) <= children


@pytest.mark.kernel
def test_where_no_namespace_can_be_made_it_says_no() -> None:
    code = """
from labctl.kernel import netem_present
netem_present.os.path.isdir = lambda path: False  # as where the module is not loaded yet
for name in ("user", "net"):
    open(f"/proc/sys/user/max_{name}_namespaces", "w").write("0")
print(netem_present.has_netem())
"""
    assert run_in_namespace(code) == "False\n"


@pytest.mark.netem
def test_a_kernel_with_netem_has_it() -> None:
    assert has_netem()
