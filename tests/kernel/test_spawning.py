"""What a program finds that the holder has started."""

import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.kernel.control import Control, RequestRefused
from labctl.kernel.state import LabState
from labctl.programs.logs import read_log
from tests.kernel.starting import PATH, run, start
from tests.owners import OWNERS, owner_of_kind, signal_mask

pytestmark = pytest.mark.kernel


@pytest.fixture(params=OWNERS)
def lab(request: pytest.FixtureRequest) -> Iterator[LabState]:
    owner = owner_of_kind(request.param, request)
    with owner.lab() as name:
        yield owner.state(name)


def test_a_program_that_cannot_be_executed_is_refused_with_the_reason(lab: LabState) -> None:
    with pytest.raises(RequestRefused) as refused:
        start(lab, "typo", "no-such-program")

    assert refused.value.errno == errno.ENOENT
    assert Control(lab).programs() == []


@pytest.mark.parametrize("argv", [[], ["true", "a\0b"]])
def test_a_command_that_no_kernel_takes_is_refused(lab: LabState, argv: list[str]) -> None:
    with pytest.raises(RequestRefused):
        start(lab, "odd", *argv)

    assert Control(lab).programs() == []


def test_a_working_directory_that_the_lab_does_not_show_is_replaced(lab: LabState) -> None:
    assert run(lab, "pwd", cwd="/run/no/such/folder") == "/\n"


def test_a_program_gets_the_signals_of_a_fresh_process(lab: LabState) -> None:
    status = run(lab, "grep", "-E", "Sig(Blk|Ign)", "/proc/self/status")

    assert [signal_mask(line) for line in status.splitlines()] == [0, 0]


def test_a_program_has_three_files_open_and_the_usual_limit(lab: LabState) -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)

    assert run(lab, "sh", "-c", "ls /proc/$$/fd | head -n 3; ulimit -n").split() == [
        "0",
        "1",
        "2",
        str(soft),
    ]


def test_stdin_is_the_file_that_came_with_the_request(lab: LabState, tmp_path: Path) -> None:
    (tmp_path / "input").write_text("hello")
    netns = lab.netns("client1")
    assert netns is not None
    with (tmp_path / "input").open() as file:
        Control(lab).start(
            "reader",
            "client1",
            netns,
            ["cat"],
            environment=PATH,
            cwd="/",
            stdin_fd=file.fileno(),
        )
    Control(lab).wait("reader", 60)

    assert read_log(lab, "reader") == b"hello"


def test_output_goes_to_the_files_that_came_with_the_request(lab: LabState) -> None:
    netns = lab.netns("client1")
    assert netns is not None
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    script = "echo to one; echo to the other >&2"
    Control(lab).start(
        "writer",
        "client1",
        netns,
        ["sh", "-c", script],
        environment=PATH,
        cwd="/",
        stdout_fd=out_write,
        stderr_fd=err_write,
    )
    ended = Control(lab).wait("writer", 60)
    os.close(out_write)
    os.close(err_write)
    with os.fdopen(out_read) as out, os.fdopen(err_read) as err:
        written = out.read(), err.read()

    assert ended is not None
    assert ended.exit_status == 0
    assert written == ("to one\n", "to the other\n")
    assert read_log(lab, "writer") == b""


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_has_no_file_of_its_own_goes_into_the_log(lab: LabState, stream: str) -> None:
    netns = lab.netns("client1")
    assert netns is not None
    read, write = os.pipe()
    Control(lab).start(
        "writer",
        "client1",
        netns,
        ["sh", "-c", "cat; echo out; echo err >&2"],
        environment=PATH,
        cwd="/",
        stdout_fd=write if stream == "stdout" else None,
        stderr_fd=write if stream == "stderr" else None,
    )
    Control(lab).wait("writer", 60)
    os.close(write)
    with os.fdopen(read) as file:
        given = file.read()
    expected = ("out\n", b"err\n") if stream == "stdout" else ("err\n", b"out\n")

    assert (given, read_log(lab, "writer")) == expected


def test_an_environment_larger_than_a_socket_takes_arrives(lab: LabState) -> None:
    # A single word may have 128 KiB (execve(2)).
    environment = PATH | {f"BIG{number}": "x" * 100_000 for number in range(5)}
    netns = lab.netns("client1")
    assert netns is not None
    script = "echo ${#BIG0} ${#BIG4}"
    Control(lab).start(
        "big", "client1", netns, ["sh", "-c", script], environment=environment, cwd="/"
    )
    Control(lab).wait("big", 60)

    assert read_log(lab, "big") == b"100000 100000\n"
