"""A program under check: what it says, how it is frozen, how it ends; in a sandbox and without."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labctl.grading.exercise import Exercise
from labctl.grading.lab import Lab, as_checked, checked_lab
from labctl.grading.program import Program, describe_exit
from labctl.grading.submission import Means, Submission, prepare
from labctl.grading.unmet import Unmet
from labctl.kernel import processes
from labctl.topology.load import load_topology_uncached
from labctl.wait import until
from tests.grading.workshop import MODES, make_exercise, make_submission
from tests.limits import LIMIT_S

pytestmark = pytest.mark.kernel

LABS = Path(__file__).parent.parent.parent / "labs"
SOON_S = 0.05

KINDS = [(rootless, sandboxed) for rootless in MODES for sandboxed in (True, False)]

Start = Callable[[str], Program]


@pytest.fixture(
    params=KINDS,
    ids=lambda kind: ("rootless" if kind[0] else "root") + (", sandboxed" if kind[1] else ""),
)
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """Start a Python program from its text, without waiting for anything."""
    is_rootless, is_sandboxed = request.param
    topology = as_checked(load_topology_uncached(str(LABS / "alone.yaml"), {}))
    exercise = make_exercise(tmp_path, "", lab="alone")
    means = Means(is_sandboxed, is_rootless, uid=400_000_000 + os.getpid())

    with checked_lab(topology, is_rootless=is_rootless, seed=1) as lab:
        yield lambda text: _start(text, lab, exercise, means, tmp_path)


def _start(text: str, lab: Lab, exercise: Exercise, means: Means, tmp_path: Path) -> Program:
    folder = make_submission(tmp_path, {"program.py": text})
    prepared = prepare(str(folder), exercise, lab, means)
    return Submission(prepared, exercise, lab, means).start("host", "program", ready=False)


ECHO = """
import sys
print("READY")
for line in sys.stdin:
    print("got", line.strip())
print("bye", file=sys.stderr)
sys.exit(4)
"""


def test_it_is_fed_and_read_line_by_line(start: Start) -> None:
    program = start(ECHO)
    assert program.ready() == []
    assert program.ask("one") == "got one"
    program.write(b"two\n")
    program.expect_line("got two")
    program.end_input()

    ended = program.expect_exit(4)

    assert ended.stdout == b"READY\ngot one\ngot two\n"
    assert ended.stderr == b"bye\n"
    assert program.how_it_ended() == "ended with exit status 4, and said: bye"


def test_a_line_that_does_not_come_is_its_failure(start: Start) -> None:
    program = start(ECHO)
    program.ready()
    with pytest.raises(Unmet) as raised:
        program.line(expected="a poem", hint="write one", within_s=SOON_S)

    assert raised.value.expected == f"a poem within {SOON_S} s"
    assert raised.value.actual == "nothing was printed after the line 'READY'"
    assert raised.value.hint == "write one"


def test_a_program_that_has_never_said_anything(start: Start) -> None:
    program = start("import sys\nsys.stdin.read()\n")
    with pytest.raises(Unmet) as raised:
        program.line(within_s=SOON_S)

    assert raised.value.actual == "nothing was printed"


def test_a_program_that_is_ready_in_other_words_is_told_of_them(start: Start) -> None:
    program = start("import sys\nprint('READY on port 80', flush=True)\nsys.stdin.read()\n")
    assert until(lambda: program.stdout.endswith(b"\n"), LIMIT_S)
    with pytest.raises(Unmet) as raised:
        program.ready(within_s=SOON_S)

    assert raised.value.actual == "nothing was printed after the line 'READY on port 80'"
    assert "nothing else in that line" in raised.value.hint


def test_a_line_without_its_end_is_shown(start: Start) -> None:
    program = start("import sys, time\nprint('READ', end='', flush=True)\nsys.stdin.read()\n")
    assert until(lambda: program.stdout, LIMIT_S)
    with pytest.raises(Unmet, match="only 'READ', without a line end"):
        program.line(within_s=SOON_S)


def test_a_program_that_ends_before_it_is_ready_says_how(start: Start) -> None:
    program = start("import sys\nprint('hm')\nsys.exit('error: bind: EADDRINUSE')\n")
    with pytest.raises(Unmet) as raised:
        program.ready()

    assert raised.value.expected == 'the line "READY"'
    assert raised.value.actual == (
        "the program ended with exit status 1, and said: error: bind: EADDRINUSE"
    )


def test_an_end_that_does_not_come_is_its_failure(start: Start) -> None:
    program = start(ECHO)
    with pytest.raises(Unmet, match="it is still running"):
        program.end(within_s=SOON_S)


def test_a_wrong_exit_status_is_told_with_the_right_one(start: Start) -> None:
    program = start("raise SystemExit(1)")
    with pytest.raises(Unmet, match="exits with status 0; actual: it ended with exit status 1"):
        program.expect_exit(0, within_s=LIMIT_S)


def test_a_signal_ends_it_and_is_told_by_name(start: Start) -> None:
    program = start(ECHO)
    program.ready()
    program.signal(signal.SIGTERM)

    assert program.end().exit_status == -signal.SIGTERM
    assert program.how_it_ended() == "was ended by SIGTERM"


def test_kill_ends_one_that_ignores_everything_else(start: Start) -> None:
    program = start(
        "import signal\n"
        "for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(n, signal.SIG_IGN)\n"
        + ECHO
    )
    program.ready()
    pids = program.pids()
    program.kill()

    assert not program.is_running()
    assert until(lambda: not any(map(processes.state, pids)), LIMIT_S)


def test_nothing_of_it_holds_a_port_once_it_is_killed(start: Start) -> None:
    program = start(
        "import os, socket\n"
        "listener = socket.create_server(('127.0.0.1', 0))\n"
        "for _ in range(20):\n"
        "    if os.fork() == 0: listener.accept()\n"
        "print('READY')\n"
        "listener.accept()\n"
    )
    program.ready()
    pids = program.pids()
    assert len(pids) == 21
    program.kill()

    assert {processes.state(pid) for pid in pids} <= {"", "Z", "X"}


def test_frozen_it_does_nothing_until_it_is_thawed(start: Start) -> None:
    program = start(ECHO)
    program.ready()
    program.freeze()
    program.write(b"one\n")

    # It would have answered long before this: every process of it is stopped.
    assert {processes.state(pid) for pid in program.pids()} == {"T"}
    with pytest.raises(Unmet):
        program.line(within_s=SOON_S)
    program.thaw()
    assert program.line() == "got one"


WAITS_FOR_EVENTS = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
epoll = libc.epoll_create1(0)
events = ctypes.create_string_buffer(12)
print("READY")
sum(range(1_000_000))
if libc.epoll_wait(epoll, events, 1, -1) < 0:
    print(os.strerror(ctypes.get_errno()))
"""


def test_one_that_waits_is_stopped_in_its_waiting(start: Start) -> None:
    program = start(WAITS_FOR_EVENTS)
    program.ready()
    assert "SIGSTOP" not in program.transcript()
    program.freeze()
    program.thaw()

    assert program.line() == "Interrupted system call"
    assert "EINTR has to be made again" in program.transcript()


@pytest.mark.parametrize("start", [(True, False)], indirect=True, ids=["rootless"])
def test_one_that_no_cpu_runs_is_not_taken_for_one_that_does_not_wait(start: Start) -> None:
    program = start(WAITS_FOR_EVENTS)
    program.ready()
    [pid] = program.pids()
    os.kill(pid, signal.SIGSTOP)
    go_on = threading.Timer(1.5, os.kill, [pid, signal.SIGCONT])
    go_on.start()
    program.freeze()
    program.thaw()
    go_on.join()

    assert program.line() == "Interrupted system call"


def test_threads_and_memory_are_the_kernels(start: Start) -> None:
    program = start(
        "import sys, threading\n"
        "block = bytearray(b'x' * 50_000_000)\n"
        "for _ in range(3): threading.Thread(target=sys.stdin.read, daemon=True).start()\n"
        "print('READY')\nthreading.Event().wait()\n"
    )
    program.ready()

    assert program.threads() == 4
    assert 50_000_000 < program.resident_bytes() < 120_000_000
    assert len(program.pids()) == 1


def test_its_time_on_a_cpu_is_counted_and_no_other(start: Start) -> None:
    program = start(
        "import time\n"
        "while time.process_time() < 0.1: pass\n"
        "print('READY')\ninput()\nprint('still here')\ninput()\n"
    )
    program.ready()
    worked_s = program.cpu_seconds()
    assert 0.1 <= worked_s < 5

    assert not until(lambda: program.cpu_seconds() > worked_s + 0.1, SOON_S)  # it waits
    assert program.ask("go on") == "still here"
    assert program.cpu_seconds() > worked_s


def test_it_sleeps_when_each_of_its_threads_waits(start: Start) -> None:
    program = start(
        "import os, sys, threading\n"
        "def work():\n"
        "    while not os.path.exists('rest'): pass\n"
        "if os.fork() == 0:\n"
        "    worker = threading.Thread(target=work)\n"
        "    worker.start()\n"
        "    worker.join()\n"
        "    sys.stdin.read()\n"
        "else:\n"
        "    print('READY')\n"
        "    input()\n"
        "    open('rest', 'w').close()\n"
        "    os.wait()\n"
    )
    program.ready()

    # One thread of the child works, and everything else waits for it.
    assert not until(program.is_asleep, SOON_S)
    program.write(b"rest\n")
    assert until(program.is_asleep, LIMIT_S)
    program.kill()
    assert not program.is_asleep()


def test_the_processes_that_it_starts_are_its_own(start: Start) -> None:
    program = start(
        "import os, sys\nif os.fork() == 0:\n    sys.stdin.read()\nelse:\n"
        "    print('READY')\n    os.wait()\n"
    )
    program.ready()

    assert len(program.pids()) == 2


def test_input_for_a_program_that_has_ended_is_its_failure(start: Start) -> None:
    program = start("raise SystemExit(6)")
    program.end(within_s=LIMIT_S)
    with pytest.raises(Unmet, match=r"reads 1 bytes from its input; actual: .* exit status 6"):
        program.write(b"x")


def test_too_much_output_ends_it_and_says_so(start: Start) -> None:
    program = start("while True:\n    print('x' * 10_000)\n")

    program.end(within_s=LIMIT_S)

    assert program.how_it_ended() == "was ended because it wrote more than 1 MiB"
    assert len(program.stdout) == 1 << 20


def test_the_transcript_shows_what_it_said_and_how_it_ended(start: Start) -> None:
    program = start("import sys\nprint('one')\nprint('two', file=sys.stderr)\nsys.exit(3)\n")
    program.end(within_s=LIMIT_S)

    assert program.transcript() == (
        "program.py in host: ended with exit status 3\n  stdout: one\n  stderr: two"
    )


def test_ends_have_names() -> None:
    assert describe_exit(0) == "exits with status 0"
    assert describe_exit(-9) == "is ended by SIGKILL"
    assert describe_exit(-99, past=True) == "was ended by signal 99"
