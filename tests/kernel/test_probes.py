import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labctl.kernel import probes
from tests.limits import LIMIT_S


def test_an_error_of_the_child_comes_back_with_its_number_and_words() -> None:
    def refused() -> None:
        Path("/proc/self/there-is-no-such-folder").rmdir()

    error = probes.in_child(refused)

    assert error is not None
    assert error.errno == errno.ENOENT
    assert error.strerror == "No such file or directory"


def test_a_child_without_an_error_changes_nothing_here() -> None:
    folder = Path.cwd()

    assert probes.in_child(lambda: os.chdir("/")) is None
    assert Path.cwd() == folder


def test_a_child_that_is_killed_was_refused() -> None:
    error = probes.in_child(lambda: os.kill(os.getpid(), signal.SIGSYS))

    assert error is not None
    assert (error.errno, error.strerror) == (errno.EPERM, "ended by SIGSYS")


def test_a_fault_of_a_probe_is_not_taken_for_the_machines() -> None:
    def wrong() -> None:
        raise ValueError("wrong")

    with pytest.raises(RuntimeError, match="ValueError: wrong"):
        probes.in_child(wrong)


INTERRUPTED_WHILE_IT_FORKS = """
import os, signal
from labctl.kernel import probes

os.register_at_fork(before=lambda: os.kill(os.getpid(), signal.SIGINT))
probes.in_child(lambda: None)
"""


def test_an_interrupt_during_the_fork_is_not_lost() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE_IT_FORKS],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )

    assert done.stderr.endswith("KeyboardInterrupt\n")
    assert "ignored" not in done.stderr


@pytest.mark.kernel
def test_a_refusal_met_as_pid_1_comes_back_through_both_children() -> None:
    def refused() -> None:
        assert os.getpid() == 1
        Path("/proc/self/there-is-no-such-folder").rmdir()

    error = probes.in_child(lambda: probes.in_lab(refused))

    assert error is not None
    assert error.errno == errno.ENOENT


@pytest.mark.kernel
def test_a_network_is_a_new_one() -> None:
    here = Path("/proc/self/ns/net").readlink()

    def compare() -> None:
        probes.rootless_network()
        if Path("/proc/self/ns/net").readlink() == here:
            raise OSError(errno.EEXIST, "the same network")

    assert probes.in_child(compare) is None


@pytest.mark.kernel
def test_a_link_that_exists_is_refused_a_second_time() -> None:
    def twice() -> None:
        probes.rootless_network()
        probes.create_veth()
        probes.create_veth()

    error = probes.in_child(twice)

    assert error is not None
    assert error.errno == errno.EEXIST


@pytest.mark.kernel
def test_mounts_of_a_namespace_without_rights_over_it_cannot_be_changed() -> None:
    def without_own_mounts() -> None:
        probes.rootless_network()
        probes.change_mounts()

    error = probes.in_child(without_own_mounts)

    assert error is not None
    assert error.errno == errno.EPERM


@pytest.mark.kernel
def test_ipv6_switched_off_is_noticed() -> None:
    def without_ipv6() -> None:
        probes.rootless_network()
        Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
        probes.add_ipv6_address()

    error = probes.in_child(without_ipv6)

    assert error is not None
    assert error.errno == errno.EACCES


@pytest.mark.kernel
def test_only_root_needs_no_user_namespace() -> None:
    error = probes.in_child(lambda: probes.in_root_lab(probes.name_network))

    if os.geteuid() == 0:
        assert error is None
    else:
        assert error is not None
        assert error.errno == errno.EPERM
