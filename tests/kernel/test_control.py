import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.errors import LabError
from labctl.kernel import control as controls
from labctl.kernel.control import Control, RequestRefused
from labctl.kernel.state import LabState
from tests.owners import OWNERS, owner_of_kind

pytestmark = pytest.mark.kernel


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[LabState]:
    owner = owner_of_kind(OWNERS[-1], request)
    with owner.lab() as name:
        yield owner.state(name)


def _start(lab: LabState, name: str, *argv: str) -> None:
    netns = lab.netns("client1")
    assert netns is not None
    Control(lab).start(name, "client1", netns, argv, environment={"PATH": os.defpath}, cwd="/")


def test_programs_are_listed_in_the_order_of_their_start(lab: LabState) -> None:
    for name in ("b", "c", "a"):
        _start(lab, name, "tail", "-f", "/dev/null")

    assert [program.name for program in Control(lab).programs()] == ["b", "c", "a"]


def test_waiting_with_a_deadline_gives_none_for_a_program_that_runs(lab: LabState) -> None:
    _start(lab, "server", "tail", "-f", "/dev/null")

    assert Control(lab).wait("server", 0.01) is None


def test_all_three_files_of_a_program_can_be_given(lab: LabState, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("hello")
    netns = lab.netns("client1")
    assert netns is not None
    with (
        (tmp_path / "in").open() as given,
        (tmp_path / "out").open("w") as out,
        (tmp_path / "err").open("w") as err,
    ):
        Control(lab).start(
            "copy",
            "client1",
            netns,
            ["sh", "-c", "cat; echo problem >&2"],
            # More than a socket takes: that brings a fourth file along.
            environment={"PATH": os.defpath, "BIG": "x" * 100_000},
            cwd="/",
            stdin_fd=given.fileno(),
            stdout_fd=out.fileno(),
            stderr_fd=err.fileno(),
        )
        Control(lab).wait("copy", 60)

    assert (tmp_path / "out").read_text() == "hello"
    assert (tmp_path / "err").read_text() == "problem\n"


def test_closing_a_socket_of_a_node_closes_it_for_good(lab: LabState) -> None:
    """The holder has no copy of it any more: the port is free at once."""
    netns = lab.netns("client1")
    assert netns is not None
    for _ in range(500):
        with Control(lab).open_socket(netns, socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 4000))


def test_every_waiter_hears_of_the_end(lab: LabState) -> None:
    _start(lab, "quick", "true")
    waited = [Control(lab).wait("quick", 60) for _ in range(3)]

    assert [status and status.exit_status for status in waited] == [0, 0, 0]


def test_what_the_holder_refuses_is_an_error_for_the_user(lab: LabState) -> None:
    with pytest.raises(LabError, match="the lab's holder refused") as refused:
        Control(lab).open_socket("nowhere", 2, 1)

    assert isinstance(refused.value, RequestRefused)
    assert refused.value.exit_code == 3


def test_a_lab_that_has_ended_is_an_error_for_the_user(lab: LabState) -> None:
    _start(lab, "server", "tail", "-f", "/dev/null")
    opened = lab.open_holder()
    assert opened is not None
    signal.pidfd_send_signal(opened[1], signal.SIGKILL)
    os.close(opened[1])

    with pytest.raises(LabError, match="has ended"):
        Control(lab).wait("server", 60)


def test_a_holder_that_does_not_answer_is_an_error_for_the_user(
    lab: LabState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controls, "ANSWER_WITHIN_S", 0.01)
    holder = lab.holder()
    assert holder is not None
    os.kill(holder.pid, signal.SIGSTOP)
    with pytest.raises(LabError, match="does not answer") as error:
        Control(lab).programs()
    os.kill(holder.pid, signal.SIGCONT)

    assert "kill -CONT" in error.value.hint
