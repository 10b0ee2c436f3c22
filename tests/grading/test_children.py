import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from labctl.grading.children import Ended, Said, Say, do_jobs
from labctl.wait import until
from tests.cli.commands import CHECKOUT
from tests.limits import LIMIT_S


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it may go while its file is open
        return False


def _values(events: Generator[Said | Ended, None, None]) -> list[object]:
    return [event.value for event in events if isinstance(event, Said)]


def test_every_job_is_done_and_tells_what_it_did() -> None:
    def work(job: int, say: Say) -> None:
        say({"job": job})

    events = list(do_jobs(5, work, 2))

    said = [event.value["job"] for event in events if isinstance(event, Said)]
    ended = [event for event in events if isinstance(event, Ended)]
    assert sorted(said) == [0, 1, 2, 3, 4]
    assert sorted(ended) == [Ended(job, 0) for job in range(5)]


def test_no_jobs_are_no_work() -> None:
    assert list(do_jobs(0, lambda job, say: None, 4)) == []


def test_each_job_has_a_process_of_its_own() -> None:
    pids = _values(do_jobs(3, lambda job, say: say(os.getpid()), 3))

    assert len({*pids, os.getpid()}) == 4


def test_no_more_run_at_once_than_asked_for() -> None:
    def work(job: int, say: Say) -> None:
        say("begin")
        say("end")

    running = most = 0
    for event in do_jobs(6, work, 2):
        if isinstance(event, Said) and event.value == "begin":
            running += 1
        elif isinstance(event, Ended):
            running -= 1
        most = max(most, running)
    assert most <= 2


def test_much_that_is_said_comes_whole() -> None:
    text = "grün \x00\n" * 100_000

    assert _values(do_jobs(2, lambda job, say: say(text), 2)) == [text, text]


def test_a_job_that_dies_is_told_by_its_exit_status_and_the_others_go_on() -> None:
    def work(job: int, say: Say) -> None:
        if job == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if job == 1:
            raise RuntimeError("a mistake of ours")
        say("done")

    events = list(do_jobs(3, work, 1))

    assert events == [Ended(0, -signal.SIGKILL), Ended(1, 1), Said(2, "done"), Ended(2, 0)]


def _hang(job: int, say: Say) -> None:
    try:
        say(os.getpid())
        signal.pause()
    except KeyboardInterrupt:
        say("tidied up")
        raise


def test_whoever_stops_listening_ends_the_jobs() -> None:
    events = do_jobs(2, _hang, 2)
    pids = [event.value for event in (next(events), next(events)) if isinstance(event, Said)]
    events.close()

    assert len(pids) == 2
    assert not any(map(_is_alive, pids))


def _listen_until_interrupted(pids: list[int]) -> None:
    for event in do_jobs(2, _hang, 2):
        assert isinstance(event, Said)
        pids.append(event.value)
        if len(pids) == 2:
            raise KeyboardInterrupt


def test_an_exception_of_the_listener_ends_the_jobs() -> None:
    pids: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        _listen_until_interrupted(pids)
    assert until(lambda: not any(map(_is_alive, pids)), LIMIT_S)


HANGS = """
import signal
from labctl.grading.children import do_jobs

def work(job, say):
    import os
    say(os.getpid())
    signal.pause()

for event in do_jobs(2, work, 2):
    print(event.value, flush=True)
"""


def test_a_killed_parent_leaves_nobody() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HANGS], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
    ) as parent:
        assert parent.stdout is not None
        pids = [int(parent.stdout.readline()) for _ in range(2)]
        assert all(map(_is_alive, pids))
        parent.kill()
    assert until(lambda: not any(map(_is_alive, pids)), LIMIT_S)


INTERRUPTED_WHILE_IT_FORKS = """
import os, signal, sys
from labctl.cli.termination import end_tidily, interrupted_code
from labctl.grading.children import do_jobs

end_tidily()
os.register_at_fork(before=lambda: os.kill(os.getpid(), int(sys.argv[1])))
try:
    list(do_jobs(1, lambda job, say: signal.pause(), 1))
except KeyboardInterrupt as interrupt:
    sys.exit(interrupted_code(interrupt))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_during_a_fork_is_not_lost(number: signal.Signals) -> None:
    command = [sys.executable, "-c", INTERRUPTED_WHILE_IT_FORKS, str(int(number))]

    done = subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=LIMIT_S
    )

    assert (done.returncode, done.stderr) == (128 + number, "")
