import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from labctl.kernel.ending import end_holder, wake_joiners
from labctl.kernel.state import LabState, start_time
from labctl.wait import until
from tests.limits import LIMIT_S


@pytest.fixture
def lab(tmp_path: Path) -> LabState:
    lab = LabState("lab", str(tmp_path))
    (tmp_path / "lab" / "joiners").mkdir(parents=True)
    return lab


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def _start(*command: str) -> subprocess.Popen[bytes]:
    """Start what will be woken as a joiner is, in a process group of its own.

    All of the group is woken, and the group of the tests has what other tests have stopped.
    """
    return subprocess.Popen(command, stdin=subprocess.PIPE, process_group=0)


@contextmanager
def _stopped_cat() -> Iterator[subprocess.Popen[bytes]]:
    with _start("cat") as process:
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        try:
            yield process
        finally:
            process.kill()


def test_a_holder_is_killed_whatever_it_ignores() -> None:
    with subprocess.Popen(["sh", "-c", "trap '' TERM INT; exec cat"], stdin=subprocess.PIPE) as it:
        pidfd = os.pidfd_open(it.pid)
        end_holder(pidfd)
        it.wait()
        os.close(pidfd)

    assert it.returncode == -signal.SIGKILL


def test_a_holder_that_has_ended_already_is_no_error() -> None:
    with subprocess.Popen(["true"]) as it:
        pidfd = os.pidfd_open(it.pid)
        it.wait()
        end_holder(pidfd)
        os.close(pidfd)


def test_a_stopped_joiner_is_continued(lab: LabState) -> None:
    with _stopped_cat() as joiner:
        Path(lab.file(f"joiners/{joiner.pid}.{start_time(joiner.pid)}")).touch()
        wake_joiners(lab)
        continued = until(lambda: not _is_stopped(joiner.pid), LIMIT_S)

    assert continued


def test_another_process_with_the_pid_of_a_joiner_is_left_alone(lab: LabState) -> None:
    with _stopped_cat() as other:
        Path(lab.file(f"joiners/{other.pid}.1")).touch()
        wake_joiners(lab)
        stopped = _is_stopped(other.pid)

    assert stopped


def test_joiners_that_have_gone_and_a_folder_that_has_gone_are_no_error(lab: LabState) -> None:
    with _start("cat") as joiner:
        Path(lab.file(f"joiners/{joiner.pid}.{start_time(joiner.pid)}")).touch()
        joiner.kill()
        joiner.wait()
    wake_joiners(lab)
    wake_joiners(LabState("other", lab.base))


def test_joiners_that_end_at_that_moment_are_no_error(lab: LabState) -> None:
    for _ in range(20):
        joiners = [_start("true") for _ in range(5)]
        for joiner in joiners:
            Path(lab.file(f"joiners/{joiner.pid}.{start_time(joiner.pid)}")).touch()
        wake_joiners(lab)
        for joiner in joiners:
            joiner.communicate()
