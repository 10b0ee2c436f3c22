"""Looking at programs from outside, in every kind of lab, with and without a sandbox."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from labctl.errors import LabError
from labctl.kernel import processes
from labctl.kernel.control import Control
from labctl.wait import until
from tests import leftovers
from tests.limits import LIMIT_S
from tests.owners import OWNERS, owner_of_kind
from tests.programs.sandboxes import Grader, grader

pytestmark = pytest.mark.kernel

FAMILY = """
import os, signal, threading
for _ in range(3):
    if os.fork() == 0:
        signal.pause()
for _ in range(4):
    threading.Thread(target=signal.pause, daemon=True).start()
memory = b"x" * (30 << 20)
signal.pause()
"""

RESTLESS = """
import os
while True:
    if os.fork() == 0:
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
    os.wait()
"""


class Started(NamedTuple):
    """A program that runs, and who can say which processes are its own."""

    holder_pid: int
    pid_in_lab: int
    is_sandboxed: bool
    outer_pid: int
    end: Callable[[], None]

    def pids(self) -> list[int]:
        return processes.program_pids(
            self.holder_pid, self.pid_in_lab, is_sandboxed=self.is_sandboxed
        )


@pytest.fixture(scope="module", params=OWNERS)
def lab(request: pytest.FixtureRequest) -> Iterator[Grader]:
    with grader(owner_of_kind(request.param, request)) as one:
        yield one


@pytest.fixture(params=[False, True], ids=["bare", "sandboxed"])
def start(request: pytest.FixtureRequest, lab: Grader) -> Iterator[Callable[[str, int], Started]]:
    """Starts a Python program and waits until it has so many processes."""
    started: list[Started] = []

    def begin(program: str, count: int) -> Started:
        one = _start_sandboxed(lab, program) if request.param else _start_bare(lab, program)
        started.append(one)
        assert until(lambda: len(one.pids()) >= count, LIMIT_S)
        return one

    yield begin
    for one in started:
        one.end()
    assert lab.processes_left() == []


def _start_bare(lab: Grader, program: str) -> Started:
    state = lab.owner.state(lab.lab)
    control = Control(state)
    netns = state.netns("client1")
    assert netns is not None
    status = control.start(
        f"bare-{uuid.uuid4()}",  # the one before may be dying still
        "client1",
        netns,
        ["/usr/bin/env", "python3", "-c", program],
        environment={"PATH": "/usr/bin:/bin", **dict([lab.mark.split("=")])},
        cwd="/",
    )
    holder_pid = lab.owner.holder_pid(lab.lab)
    outer = processes.host_pid(holder_pid, status.pid)
    assert outer is not None

    def end() -> None:
        processes.kill_program(holder_pid, status.pid)

    return Started(holder_pid, status.pid, False, outer, end)


def _start_sandboxed(lab: Grader, program: str) -> Started:
    submission = lab.submission({"main.py": program})
    runner = lab.start_in(submission, ("python3", "/submission/main.py"), wall_s=0)
    holder_pid = lab.owner.holder_pid(lab.lab)
    control = Control(lab.owner.state(lab.lab))
    name = f"p{runner.pid}"

    def find() -> tuple[int, int] | None:
        for status in control.programs():
            outer = processes.host_pid(holder_pid, status.pid)
            if status.name == name and outer is not None:
                return status.pid, outer
        return None

    found = until(find, LIMIT_S)
    assert found is not None
    pid_in_lab, outer = found

    def end() -> None:
        processes.kill_program(holder_pid, pid_in_lab)
        runner.communicate(timeout=60)

    return Started(holder_pid, pid_in_lab, True, outer, end)


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


Start = Callable[[str, int], Started]


def test_a_programs_own_processes_are_told(start: Start) -> None:
    one = start(FAMILY, 4)
    pids = one.pids()
    parents = {
        int(line.split()[1])
        for pid in pids[1:]
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("PPid:")
    }

    assert [_command(pid) for pid in pids] == ["python3"] * 4
    assert parents == {pids[0]}
    assert (one.outer_pid in pids) is not one.is_sandboxed


def test_no_more_are_looked_for_than_asked(start: Start) -> None:
    one = start(FAMILY, 4)
    some = processes.program_pids(
        one.holder_pid, one.pid_in_lab, is_sandboxed=one.is_sandboxed, at_most=2
    )

    assert some == one.pids()[:2]


def test_memory_and_threads_are_counted(start: Start) -> None:
    one = start(FAMILY, 4)
    first, child, *_ = one.pids()

    def is_complete() -> bool:
        return processes.threads(first) == 5 and processes.fair_bytes(first) > 30 << 20

    assert until(is_complete, LIMIT_S)
    assert processes.threads(child) == 1
    assert 0 < processes.fair_bytes(child) < processes.resident_bytes(child) < 30 << 20
    assert processes.fair_bytes(first) < processes.resident_bytes(first)


def test_a_program_is_stopped_with_all_its_processes_and_goes_on(start: Start) -> None:
    one = start(FAMILY, 4)
    processes.stop_all(one.pids)
    stopped = [processes.state(pid) for pid in one.pids()]
    processes.continue_all(one.pids)

    assert stopped == ["T"] * 4
    assert until(lambda: {processes.state(pid) for pid in one.pids()} == {"S"}, LIMIT_S)


def test_a_program_that_starts_processes_all_the_time_is_stopped_too(start: Start) -> None:
    one = start(RESTLESS, 1)
    for _ in range(10):
        processes.stop_all(one.pids)
        frozen = _living(one)

        assert {processes.state(pid) for pid in frozen} == {"T"}
        assert _living(one) == frozen
        processes.continue_all(one.pids)


def _living(one: Started) -> dict[int, str]:
    """Return what each process has used of the processor, in the kernel's finest count.

    Those that have ended are not among them: a sandbox's pid 1, which has not stopped, takes note
    of its orphans whenever it comes to it.
    """
    pids = [pid for pid in one.pids() if processes.state(pid) not in ("Z", "X", "")]
    return {pid: Path(f"/proc/{pid}/schedstat").read_text().split()[0] for pid in pids}


def test_a_program_is_killed_with_all_that_it_started(lab: Grader, start: Start) -> None:
    one = start(FAMILY, 4)
    processes.kill_program(one.holder_pid, one.pid_in_lab)

    # What has ended is there until its parent, the holder, has taken note; a sandbox has no
    # processes before that.
    assert until(lambda: processes.host_pid(one.holder_pid, one.pid_in_lab) is None, LIMIT_S)
    assert one.pids() == []
    ended = until(lambda: not leftovers.processes(lab.mark, within_s=0), LIMIT_S)
    assert ended


CROWD = """
import os, signal
crowd = []
for _ in range(300):
    pid = os.fork()
    if pid == 0:
        signal.pause()
    crowd.append(pid)
print("all", flush=True)
for pid in crowd:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
print("none", flush=True)
signal.pause()
"""


def test_nobody_is_overlooked_while_others_end() -> None:
    # Of the parents' children each list that is read at once misses one now and then.
    for _ in range(8):
        with subprocess.Popen([sys.executable, "-c", CROWD], stdout=subprocess.PIPE) as parent:
            assert parent.stdout is not None
            assert parent.stdout.readline() == b"all\n"
            os.set_blocking(parent.stdout.fileno(), False)
            seen = processes.children(parent.pid)
            while not parent.stdout.readline():
                now = processes.children(parent.pid)
                assert set(now) <= set(seen), "one was there all the time, and had been overlooked"
                seen = now
            parent.kill()


def test_a_program_that_has_ended_has_no_processes(lab: Grader) -> None:
    holder_pid = lab.owner.holder_pid(lab.lab)
    nobody = 4_000_000

    assert processes.host_pid(holder_pid, nobody) is None
    assert processes.program_pids(holder_pid, nobody) == []
    assert processes.program_pids(holder_pid, nobody, is_sandboxed=True) == []
    processes.kill_program(holder_pid, nobody)


def test_a_process_that_has_gone_uses_nothing() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()

    assert processes.resident_bytes(gone.pid) == 0
    assert processes.fair_bytes(gone.pid) == 0
    assert processes.threads(gone.pid) == 0
    assert processes.cpu_seconds(gone.pid) == 0
    assert processes.state(gone.pid) == ""
    assert processes.is_asleep(gone.pid)


def test_what_cannot_be_stopped_is_an_error_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STOPPED_WITHIN_S", 0.05)
    sleeper = subprocess.Popen(["sleep", "1000"])
    names = iter(range(10**9))
    try:
        # Another process at each look, as of a program that starts them without end.
        with pytest.raises(LabError, match="does not stop"):
            processes.stop_all(lambda: [sleeper.pid, 10**7 + next(names)])

        assert until(lambda: processes.state(sleeper.pid) == "S", LIMIT_S)
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_number_that_is_another_process_by_now_gets_no_signal() -> None:
    sleeper = subprocess.Popen(["sleep", "1000"])
    answers = iter([[sleeper.pid]])
    try:
        # It was the program's when looked for, and is not when it is held.
        processes.continue_all(lambda: next(answers, []))
        sleeper.send_signal(signal.SIGSTOP)
        assert until(lambda: processes.state(sleeper.pid) == "T", LIMIT_S)
        answers = iter([[sleeper.pid]])
        processes.continue_all(lambda: next(answers, []))

        assert processes.state(sleeper.pid) == "T"
    finally:
        sleeper.kill()
        sleeper.wait()


def test_users_of_a_lab_are_found(lab: Grader) -> None:
    holder_pid = lab.owner.holder_pid(lab.lab)

    assert processes.maps_uid(os.getpid(), os.getuid())
    assert lab.has_own_user or not processes.maps_uid(holder_pid, 4_000_000)
    assert not processes.maps_uid(holder_pid, -1)
