import os
import signal
import subprocess
from pathlib import Path

import pytest

from labctl.kernel.ending import end_holder, wake_joiners
from labctl.kernel.state import LabState, start_time
from labctl.wait import until


@pytest.fixture
def lab(tmp_path: Path) -> LabState:
    lab = LabState("lab", str(tmp_path))
    (tmp_path / "lab" / "joiners").mkdir(parents=True)
    return lab


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


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
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as joiner:
        Path(lab.file(f"joiners/{joiner.pid}.{start_time(joiner.pid)}")).touch()
        joiner.send_signal(signal.SIGSTOP)
        stopped = until(lambda: _is_stopped(joiner.pid), within_s=10)
        wake_joiners(lab)
        continued = until(lambda: not _is_stopped(joiner.pid), within_s=10)
        joiner.kill()

    assert stopped
    assert continued


def test_another_process_with_the_pid_of_a_joiner_is_left_alone(lab: LabState) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other:
        Path(lab.file(f"joiners/{other.pid}.1")).touch()
        other.send_signal(signal.SIGSTOP)
        until(lambda: _is_stopped(other.pid), within_s=10)
        wake_joiners(lab)
        stopped = _is_stopped(other.pid)
        other.kill()

    assert stopped


def test_joiners_that_have_gone_and_a_folder_that_has_gone_are_no_error(lab: LabState) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as joiner:
        Path(lab.file(f"joiners/{joiner.pid}.{start_time(joiner.pid)}")).touch()
        joiner.kill()
        joiner.wait()
    wake_joiners(lab)
    wake_joiners(LabState("other", lab.base))


def test_joiners_that_end_at_that_moment_are_no_error(lab: LabState) -> None:
    for _ in range(20):
        joiners = [subprocess.Popen(["true"]) for _ in range(5)]
        for joiner in joiners:
            Path(lab.file(f"joiners/{joiner.pid}.{start_time(joiner.pid)}")).touch()
        wake_joiners(lab)
        for joiner in joiners:
            joiner.wait()
