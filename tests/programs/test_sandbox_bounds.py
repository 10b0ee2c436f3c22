"""What a program in a sandbox uses up, and whether it ends."""

import signal
from collections.abc import Iterator

import pytest

from labctl.programs.sandbox import MIB, Limits
from labctl.wait import until
from tests import leftovers
from tests.limits import LIMIT_S
from tests.programs.sandboxes import MODE_NAMES, MODES, Grader, grader, grader_of_mode

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module", params=MODES, ids=MODE_NAMES)
def lab(request: pytest.FixtureRequest) -> Iterator[Grader]:
    with grader_of_mode(request) as one:
        yield one


# What it can use up.

FILL = """
import json, os, sys
found = {}
for folder in sys.argv[1:]:
    total, ends = 0, []
    for number in range(4):
        with open(f"{folder}/big{number}", "wb", buffering=0) as file:
            try:
                while True:
                    total += file.write(bytes(1 << 20))
            except OSError as error:
                ends.append(error.strerror)
        os.stat(f"{folder}/big{number}")
    count = 0
    for number in range(4):
        os.unlink(f"{folder}/big{number}")
    try:
        while True:
            os.close(os.open(f"{folder}/{count}", os.O_CREAT | os.O_WRONLY))
            count += 1
    except OSError:
        pass
    found[folder] = [total, sorted(set(ends)), count < 20_000]
print(json.dumps(found))
"""


@pytest.mark.slow
def test_files_take_no_more_room_than_they_may(lab: Grader) -> None:
    expected = [64 * MIB, ["File too large", "No space left on device"], True]
    found = lab.run(FILL, "/work", "/tmp", "/dev/shm").found

    assert found == {"/work": expected, "/tmp": expected, "/dev/shm": expected}


COUNT_FORKS = """
import os, signal
started = 0
try:
    while started < 500:
        if os.fork() == 0:
            signal.pause()
        started += 1
except OSError:
    pass
print(started, flush=True)
if started == 500:
    signal.pause()  # for the watchdog
"""

FORK_BOMB = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""


def _is_host_root(lab: Grader) -> bool:
    # The kernel does not hold the machine's root to a number of processes (RLIMIT_NPROC in
    # getrlimit(2)). In a rootless lab of root that has no other user, the watchdog counts.
    return lab.owner.kind == "root, rootless" and not lab.has_own_user


def test_it_cannot_start_more_processes_than_it_may(lab: Grader) -> None:
    ended = lab.run(COUNT_FORKS)

    if _is_host_root(lab):
        assert ended.reason == "started more than 64 processes"
    else:
        assert 50 < int(ended.stdout) < 64
        assert ended.most_processes <= 64


@pytest.mark.slow
def test_a_fork_bomb_ends(lab: Grader) -> None:
    ended = lab.run(FORK_BOMB, wall_s=LIMIT_S if _is_host_root(lab) else 0.5)

    if _is_host_root(lab):
        assert ended.reason == "started more than 64 processes"
    else:
        assert ended.reason == "ran for more than 0.5 s"
        assert ended.most_processes <= 64


HOG_IN_CHILDREN = """
import os, signal
for _ in range(4):
    if os.fork() == 0:
        memory = b"x" * (30 << 20)
        signal.pause()
signal.pause()
"""

SHARE_WITH_CHILDREN = """
import os, signal
memory = b"x" * (40 << 20)
for _ in range(6):
    if os.fork() == 0:
        signal.pause()
signal.pause()
"""


def test_a_memory_hog_is_ended_also_if_it_shares_the_work(lab: Grader) -> None:
    ended = lab.run(HOG_IN_CHILDREN, limits=Limits(memory_bytes=96 * MIB))

    assert ended.reason == "used more than 96 MiB of memory"
    assert ended.exit_status == -signal.SIGKILL


def test_memory_that_children_have_from_their_parent_counts_once(lab: Grader) -> None:
    ended = lab.run(SHARE_WITH_CHILDREN, until_processes=7, limits=Limits(memory_bytes=128 * MIB))

    assert ended.most_processes == 7
    assert ended.reason == ""


def test_a_single_process_gets_no_endless_memory(lab: Grader) -> None:
    ended = lab.run("memory = bytearray(5 << 30)")

    assert "MemoryError" in ended.stderr
    assert ended.exit_status == 1


ENDLESS_OUTPUT = """
import os, sys
while True:
    os.write(int(sys.argv[1]), bytes(1 << 20))
"""


@pytest.mark.parametrize("fd", ["1", "2"])
def test_output_without_end_is_cut(lab: Grader, fd: str) -> None:
    ended = lab.run(ENDLESS_OUTPUT, fd)

    assert ended.reason == "wrote more than 1 MiB"
    assert ended.exit_status == -signal.SIGKILL
    assert ended.written > MIB


# Whether it ends.

STUBBORN = """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
print("[]", flush=True)
while True:
    pass
"""

STOPS_ITSELF = """
import os, signal
if os.fork() == 0:
    os.kill(os.getpid(), signal.SIGSTOP)
os.kill(os.getpid(), signal.SIGSTOP)
"""

DAEMON = """
import os, signal
born, tell = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in (0, 1, 2):
            os.close(fd)
        os.write(tell, b"%d" % os.getppid())
        signal.pause()
    os._exit(0)
os.wait()
print(os.read(born, 9).decode(), flush=True)
"""


@pytest.mark.parametrize("program", [STUBBORN, STOPS_ITSELF], ids=["ignores signals", "stops"])
def test_its_time_ends_whatever_it_does_with_signals(lab: Grader, program: str) -> None:
    ended = lab.run(program, wall_s=0.5)

    assert ended.reason == "ran for more than 0.5 s"
    assert ended.exit_status == -signal.SIGKILL


def test_a_daemon_ends_with_the_program_that_started_it(lab: Grader) -> None:
    # That nothing is left is looked at after every run.
    ended = lab.run(DAEMON)

    assert ended.exit_status == 0
    assert int(ended.stdout) > 0


def test_a_daemon_ends_with_the_lab(lab: Grader) -> None:
    with grader(lab.owner, grants_raw=lab.grants_raw) as own:
        submission = own.submission({"main.py": DAEMON + "signal.pause()"})
        process = own.start_in(submission, ("python3", "/submission/main.py"))
        try:
            there = until(lambda: len(leftovers.processes(own.mark, within_s=0.0)) >= 2, LIMIT_S)
            own.owner.labctl("down", own.lab)

            assert there
            assert own.processes_left() == []
        finally:
            process.kill()
            process.communicate()


def test_a_crash_is_told_from_an_exit(lab: Grader) -> None:
    assert lab.run("import os; os.abort()").exit_status == -signal.SIGABRT
    assert lab.run("raise SystemExit(3)").exit_status == 3
