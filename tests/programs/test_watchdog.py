"""The watchdog over programs without a sandbox; tests/programs/test_sandbox_bounds.py has those in one."""

import os
import signal
from collections.abc import Iterator

import pytest

from labctl.kernel.control import Control, ProgramStatus
from labctl.kernel.state import LabState
from labctl.programs.watchdog import Watchdog
from tests.limits import LIMIT_S
from tests.owners import OWNERS, owner_of_kind

pytestmark = pytest.mark.kernel

HOG = "memory = b'x' * (40 << 20); import signal; signal.pause()"
FAMILY = """
import os, signal
for _ in range(5):
    if os.fork() == 0:
        signal.pause()
signal.pause()
"""


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[LabState]:
    owner = owner_of_kind(OWNERS[0], request)
    with owner.lab() as name:
        yield owner.state(name)


@pytest.fixture
def dog() -> Iterator[Watchdog]:
    one = Watchdog()
    yield one
    one.close()


def _start(lab: LabState, name: str, program: str) -> ProgramStatus:
    netns = lab.netns("client1")
    assert netns is not None
    return Control(lab).start(
        name,
        "client1",
        netns,
        ["python3", "-c", program],
        environment={"PATH": os.defpath},
        cwd="/",
    )


def _holder_pid(lab: LabState) -> int:
    holder = lab.holder()
    assert holder is not None
    return holder.pid


@pytest.mark.parametrize(
    ("program", "limits", "reason"),
    [
        (HOG, {"most_resident": 20 << 20}, "used more than 20 MiB of memory"),
        (HOG, {"most_wall_s": 0.1}, "ran for more than 0.1 s"),
        (HOG, {"most_output": 1000}, "wrote more than 1000 bytes"),
        (FAMILY, {"most_processes": 3}, "started more than 3 processes"),
    ],
)
def test_a_program_that_uses_too_much_is_ended_and_the_reason_kept(
    lab: LabState, dog: Watchdog, program: str, limits: dict[str, float], reason: str
) -> None:
    status = _start(lab, "greedy", program)
    watch = dog.watch(
        holder_pid=_holder_pid(lab),
        pid_in_lab=status.pid,
        is_sandboxed=False,
        output=lambda: 1001,
        most_resident=int(limits.get("most_resident", 0)),
        most_output=int(limits.get("most_output", 0)),
        most_wall_s=limits.get("most_wall_s", 0.0),
        most_processes=int(limits.get("most_processes", 0)),
    )
    ended = Control(lab).wait("greedy", LIMIT_S)

    assert ended is not None
    assert ended.exit_status == -signal.SIGKILL
    assert watch.reason == reason


def test_a_program_that_keeps_to_its_limits_is_left_alone(lab: LabState, dog: Watchdog) -> None:
    status = _start(lab, "modest", "import sys; sys.exit(3)")
    watch = dog.watch(
        holder_pid=_holder_pid(lab),
        pid_in_lab=status.pid,
        is_sandboxed=False,
        most_resident=512 << 20,
        most_output=1000,
        most_wall_s=60,
        most_processes=10,
        output=lambda: 1000,
    )
    ended = Control(lab).wait("modest", LIMIT_S)
    still_watched = watch.look()

    assert ended is not None
    assert ended.exit_status == 3
    assert watch.reason == ""
    assert not still_watched


def test_one_that_wrote_too_much_and_ended_at_once_is_found_out(lab: LabState) -> None:
    status = _start(lab, "quick", "pass")
    Control(lab).wait("quick", LIMIT_S)
    late = Watchdog()
    watch = late.watch(
        holder_pid=_holder_pid(lab),
        pid_in_lab=status.pid,
        is_sandboxed=False,
        most_output=5,
        output=lambda: 6,
    )
    watch.look()
    late.close()

    assert watch.reason == "wrote more than 5 bytes"


def test_programs_are_watched_side_by_side(lab: LabState, dog: Watchdog) -> None:
    watches = []
    for number in range(3):
        status = _start(lab, f"p{number}", HOG)
        watches.append(
            dog.watch(
                holder_pid=_holder_pid(lab),
                pid_in_lab=status.pid,
                is_sandboxed=False,
                most_wall_s=0.05 * (number + 1),
            )
        )
    for number in range(3):
        assert Control(lab).wait(f"p{number}", LIMIT_S) is not None
    dog.close()

    assert [watch.reason for watch in watches] == [
        "ran for more than 0.05 s",
        "ran for more than 0.1 s",
        "ran for more than 0.15 s",
    ]
