"""labctl is killed at random moments; ``labctl gc`` then leaves nothing of it.

The moments are spread evenly over 1.2 times what each command takes here and now, so that early,
middle and late ones are hit, and some after the end. The seed is fixed: a run that fails can be
repeated, as far as the machine goes at the same speed. 200 kills are in root mode and 200 in
rootless mode, in chunks that can run in parallel.
"""

import os
import random
import select
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.kernel.ending import end_holder
from labctl.wait import until
from tests.limits import LIMIT_S
from tests.owners import Owner, owner_of_kind, unique_name

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

KILLS = 50
"""In one chunk."""

VERBS = ("up", "down", "exec")

MARK = "LABCTL_TEST_CRASH"
"""Every process of a lab inherits this variable with the name of the lab."""

CHUNKS = (
    [("root", n) for n in range(4)]
    + [("root, rootless", n) for n in range(2)]
    + [("ordinary user", n) for n in range(2)]
    if os.geteuid() == 0
    else [("ordinary user", n) for n in range(4)]
)


@pytest.mark.parametrize(("kind", "chunk"), CHUNKS)
def test_gc_leaves_nothing_of_a_labctl_that_was_killed(
    kind: str,
    chunk: int,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    owner = owner_of_kind(kind, request)
    rng = random.Random(f"{kind} {chunk}")
    counts: Counter[str] = Counter()
    durations_s = {verb: _duration_s(owner, verb) for verb in VERBS}
    for number, fraction in enumerate(_spread(rng, KILLS)):
        verb = VERBS[number % len(VERBS)]
        moment_s = 1.2 * fraction * durations_s[verb]
        name = unique_name()
        was_there = _picture(owner, name)
        try:
            has_ended = _kill(owner, verb, name, moment_s, whole_group=rng.random() < 0.5)
            when = f"{verb} killed {'after' if has_ended else 'before'} its end"
            counts[when] += 1
            match verb:
                case "up":
                    _expect_all_or_nothing(owner, name, has_ended=has_ended)
                case "exec":
                    _expect_no_visitor(owner, name)
                case _:
                    pass  # killed early it leaves a lab that is up, late a part of its folder
            _end_holder(owner, name)
            left = _collect(owner, name, was_there)
        finally:
            owner.labctl("down", name)
        assert left == [], f"{when}, {moment_s * 1000:.1f} ms after its start"
    for outcome, count in sorted(counts.items()):
        record_property(outcome, count)
        sys.stdout.write(f"{kind}: {outcome}: {count}\n")
    assert all(counts[f"{verb} killed before its end"] > 0 for verb in VERBS)


def _spread(rng: random.Random, count: int) -> list[float]:
    """Return numbers between 0 and 1, one of each equal part, in random order."""
    fractions = [(n + rng.random()) / count for n in range(count)]
    rng.shuffle(fractions)
    return fractions


def _command(owner: Owner, verb: str, name: str) -> subprocess.Popen[str]:
    mark = {MARK: name}
    match verb:
        case "up":
            return owner.start(
                "up", "two_clients", "--name", name, *owner.up_options, environment=mark
            )
        case "down":
            return owner.start("down", name, environment=mark)
        case _:
            return owner.start("exec", "-l", name, "client1", "--", "hostname", environment=mark)


def _prepare(owner: Owner, verb: str, name: str) -> None:
    if verb != "up":
        done = owner.labctl(
            "up", "two_clients", "--name", name, *owner.up_options, environment={MARK: name}
        )
        assert done.returncode == 0, done.stderr


def _duration_s(owner: Owner, verb: str) -> float:
    """Return what the command takes from its start to its end, the median of five."""
    taken = []
    for _ in range(5):
        name = unique_name()
        try:
            _prepare(owner, verb, name)
            started = time.monotonic()
            with _command(owner, verb, name) as process:
                _, errors = process.communicate(timeout=60)
            taken.append(time.monotonic() - started)
            assert process.returncode == 0, errors
        finally:
            owner.labctl("down", name)
    return statistics.median(taken)


def _kill(owner: Owner, verb: str, name: str, moment_s: float, *, whole_group: bool) -> bool:
    """Start the command and kill it at the moment; return whether it had ended before."""
    _prepare(owner, verb, name)
    with _command(owner, verb, name) as process:
        pidfd = os.pidfd_open(process.pid)
        # Not select.select, which takes no descriptor above 1023.
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        has_ended = bool(poll.poll(moment_s * 1000))
        os.close(pidfd)
        # Not reaped yet, so the numbers are still those of this command.
        if whole_group:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            os.kill(process.pid, signal.SIGKILL)
    return has_ended


def _expect_no_visitor(owner: Owner, name: str) -> None:
    """What ``exec`` brought in dies with labctl: only the holder is left."""
    holder = {owner.holder_pid(name)}
    # Three looks in a row: in the middle of its exec(2) a process has no environment to be known by.
    assert until(lambda: all(_processes(name) == holder for _ in range(3)), LIMIT_S)


def _expect_all_or_nothing(owner: Owner, name: str, *, has_ended: bool) -> None:
    """A lab that was committed works, and gc does not touch it; any other goes by itself."""
    if not has_ended:
        # One that is there after this was committed just before the end of `up`.
        until(lambda: not owner.state(name).is_up(), within_s=3)
    if owner.state(name).is_up():
        owner.labctl("gc")
        done = owner.labctl("exec", "-l", name, "server", "true")
        # A slow machine may need longer than that to undo a lab: then it has gone by now, or goes.
        assert done.returncode == 0 or (not has_ended and _goes(owner, name)), done.stderr


def _goes(owner: Owner, name: str) -> bool:
    return bool(until(lambda: not owner.state(name).is_up(), LIMIT_S))


def _end_holder(owner: Owner, name: str) -> None:
    opened = owner.state(name).open_holder()
    if opened is not None:
        _, pidfd = opened
        end_holder(pidfd)
        os.close(pidfd)


def _collect(owner: Owner, name: str, was_there: set[str]) -> list[str]:
    """Run gc until nothing is left that was not there before; return what stays."""

    def is_clean() -> bool:
        done = owner.labctl("gc")
        assert done.returncode == 0, done.stderr
        return _picture(owner, name) <= was_there

    until(is_clean, LIMIT_S)
    return sorted(_picture(owner, name) - was_there)


def _picture(owner: Owner, name: str) -> set[str]:
    """Return all that the machine has of this lab.

    A zombie does not count: it has ended, and waits for the init of this machine to reap it.
    """
    mounts = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    sockets = Path("/proc/net/unix").read_text(errors="surrogateescape").splitlines()
    return {
        *(f"process {pid}" for pid in _processes(name)),
        *(str(path) for path in Path("/run/netns").glob(f"{name}*")),
        *(str(path) for path in Path("/etc/netns").glob(f"{name}*")),
        *(str(path) for path in Path(owner.base).glob(f"*{name}*")),
        *(line for line in mounts if name in line),
        *(line for line in sockets if name in line),
    }


def _processes(name: str) -> set[int]:
    """Return the processes of the lab, and of commands about it."""
    return {pid for pid in _pids() if name.encode() in _command_line(pid) + _environment(pid)}


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def _command_line(pid: int) -> bytes:
    # An ordinary user may read this of a holder too, unlike its environment.
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
