"""A lab's holder is asked for things that go wrong, and lives."""

import errno
import os
import resource
import select
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from labctl.kernel import messages
from labctl.kernel.control import Control, RequestRefused
from labctl.kernel.control_path import socket_path
from labctl.kernel.output import LIMIT_BYTES
from labctl.kernel.state import LabState
from labctl.programs.logs import read_log
from labctl.wait import until
from tests.kernel.starting import run, start
from tests.limits import LIMIT_S
from tests.owners import OWNERS, Owner, owner_of_kind

pytestmark = pytest.mark.kernel


@pytest.fixture(params=OWNERS)
def lab(request: pytest.FixtureRequest) -> Iterator[LabState]:
    owner = owner_of_kind(request.param, request)
    with owner.lab() as name:
        yield owner.state(name)


@pytest.fixture
def own_lab(request: pytest.FixtureRequest) -> Iterator[LabState]:
    owner: Owner = owner_of_kind(OWNERS[0], request)
    with owner.lab() as name:
        # The first answer: before it, the holder may be at its beginning still.
        assert Control(owner.state(name)).programs() == []
        yield owner.state(name)


def test_a_program_is_reaped_and_its_exit_status_kept(lab: LabState) -> None:
    start(lab, "quick", "sh", "-c", "exit 7")
    ended = Control(lab).wait("quick", 60)

    assert ended is not None
    assert ended.exit_status == 7
    assert ended.ended is not None
    assert ended.ended >= ended.started


def test_a_signal_that_ends_a_program_is_told(lab: LabState) -> None:
    start(lab, "server", "cat", "/dev/zero")
    Control(lab).signal("server", signal.SIGKILL)
    ended = Control(lab).wait("server", 60)

    assert ended is not None
    assert ended.exit_status == -signal.SIGKILL


def test_what_a_program_wrote_last_is_there_when_it_has_ended(lab: LabState) -> None:
    for number in range(20):
        assert run(lab, "sh", "-c", f"echo begin; echo {number} >&2") == f"begin\n{number}\n"


def test_a_program_that_runs_does_not_give_its_name_away(lab: LabState) -> None:
    start(lab, "server", "tail", "-f", "/dev/null")
    with pytest.raises(RequestRefused, match='"server" is running already'):
        start(lab, "server", "true")


def test_a_list_of_programs_larger_than_a_socket_takes_arrives(own_lab: LabState) -> None:
    for number in range(8):
        start(own_lab, f"p{number}", "true", "x" * 100_000)

    assert [program.name for program in Control(own_lab).programs()] == [
        f"p{number}" for number in range(8)
    ]


def test_a_program_that_closes_its_output_runs_on(lab: LabState) -> None:
    start(lab, "quiet", "sh", "-c", "exec >&- 2>&-; exec sleep 1000")
    ended = Control(lab).wait("quiet", 0.05)
    (program,) = Control(lab).programs()

    assert ended is None
    assert program.ended is None


def test_a_program_that_daemonises_has_ended_and_its_child_dies_with_the_lab(
    lab: LabState,
) -> None:
    start(lab, "daemon", "sh", "-c", "setsid sh -c 'echo $$; exec tail -f /dev/null' & exit 0")
    ended = Control(lab).wait("daemon", 60)
    output = until(lambda: read_log(lab, "daemon"), LIMIT_S)

    assert ended is not None
    assert ended.exit_status == 0
    assert output is not None


def test_a_child_that_outlives_its_program_does_not_write_into_the_next_ones_log(
    lab: LabState, tmp_path: Path
) -> None:
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents:
        if folder != Path("/tmp") and Path("/tmp") in folder.parents:
            folder.chmod(0o755)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    gate.chmod(0o666)
    start(lab, "server", "sh", "-c", f"(read word <{gate}; echo old; : >{gate}.done) & exit 0")
    Control(lab).wait("server", 60)
    start(lab, "server", "sh", "-c", "echo new; exec tail -f /dev/null")
    until(lambda: read_log(lab, "server"), LIMIT_S)
    gate.write_text("go\n")
    done = until(lambda: (tmp_path / "gate.done").exists(), LIMIT_S)
    Control(lab).signal("server", signal.SIGKILL)
    Control(lab).wait("server", 60)

    assert done
    assert read_log(lab, "server") == b"new\n"


def test_endless_output_fills_neither_the_disk_nor_the_holders_time(lab: LabState) -> None:
    start(lab, "endless", "yes")
    logs = Path(lab.file("logs"))
    rotated = until(lambda: (logs / "endless.old").exists(), LIMIT_S)
    answered = [Control(lab).programs()[0].name for _ in range(5)]
    Control(lab).signal("endless", signal.SIGKILL)
    Control(lab).wait("endless", 60)
    size = sum(path.stat().st_size for path in logs.iterdir())

    assert rotated
    assert answered == ["endless"] * 5
    assert size <= LIMIT_BYTES + 200_000


def test_waiting_with_a_deadline_leaves_nothing_open_in_the_holder(own_lab: LabState) -> None:
    start(own_lab, "server", "tail", "-f", "/dev/null")
    holder = own_lab.holder()
    assert holder is not None
    # More than it may have open at once.
    _limit_files(holder.pid, 40)
    waited = [Control(own_lab).wait("server", 0.001) for _ in range(60)]

    assert waited == [None] * 60
    assert [program.name for program in Control(own_lab).programs()] == ["server"]


def test_a_holder_without_free_descriptors_refuses_and_lives(own_lab: LabState) -> None:
    holder = own_lab.holder()
    assert holder is not None
    _limit_files(holder.pid, 40)
    numbers = iter(range(40))

    def start_one() -> None:
        start(own_lab, f"p{next(numbers)}", "tail", "-f", "/dev/null")

    def start_all() -> None:
        while True:
            start_one()

    with pytest.raises(RequestRefused) as refused:
        start_all()
    _limit_files(holder.pid, 1000)

    assert refused.value.errno == errno.EMFILE
    assert len(Control(own_lab).programs()) == next(numbers) - 1 > 5
    start(own_lab, "another", "true")


@contextmanager
def _no_descriptor_left(lab: LabState) -> Iterator[None]:
    holder = lab.holder()
    assert holder is not None
    opened = Path(f"/proc/{holder.pid}/fd")
    limit = 1 + max(int(path.name) for path in opened.iterdir())
    _limit_files(holder.pid, limit)
    with ExitStack() as stack:
        for _ in range(limit):  # more than it has room for
            sock = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            with socket_path(lab, "control") as path:
                sock.connect(path)
        yield
    _limit_files(holder.pid, 1000)


def test_a_connection_is_turned_away_where_no_descriptor_is_left(own_lab: LabState) -> None:
    with _no_descriptor_left(own_lab), pytest.raises(RequestRefused) as refused:
        Control(own_lab).programs()

    assert refused.value.errno == errno.EMFILE
    assert Control(own_lab).programs() == []


def test_a_connection_that_is_turned_away_before_it_asks_is_told_why(
    own_lab: LabState, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = messages.send

    def send_late(sock: socket.socket, message: Mapping[str, object], fds: Sequence[int]) -> None:
        is_turned_away, _, _ = select.select([sock], [], [], LIMIT_S)
        assert is_turned_away
        send(sock, message, fds)

    with _no_descriptor_left(own_lab), monkeypatch.context() as slowly:
        slowly.setattr(messages, "send", send_late)
        with pytest.raises(RequestRefused) as refused:
            Control(own_lab).programs()

    assert refused.value.errno == errno.EMFILE
    assert Control(own_lab).programs() == []


def _limit_files(pid: int, soft: int) -> None:
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def _send_raw(lab: LabState, data: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        with socket_path(lab, "control") as path:
            sock.connect(path)
        sock.settimeout(30)
        sock.send(data)
        return sock.recv(65536)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b"[]",
        b"{}",
        b'{"do": "fly"}',
        b'{"do": "wait", "name": "nobody"}',
        b'{"do": "signal", "name": 7, "signal": 9}',
        b'{"do": "socket", "netns": "nowhere", "family": 2, "type": 1, "protocol": 0}',
        b'{"do": "start", "name": "x", "argv": 7, "node": "a", "netns": "b"}',
        b'{"do": "start", "name": "x", "argv": ["true"], "node": "a", "netns": "b", "files": [1]}',
        b"[" * 60_000,
    ],
)
def test_a_request_that_makes_no_sense_is_refused_and_the_lab_lives(
    own_lab: LabState, data: bytes
) -> None:
    answer = _send_raw(own_lab, data)

    assert b'"error"' in answer
    assert Control(own_lab).programs() == []


def test_a_number_no_system_call_takes_is_refused_and_the_lab_lives(own_lab: LabState) -> None:
    start(own_lab, "server", "tail", "-f", "/dev/null")
    with pytest.raises(RequestRefused):
        Control(own_lab).signal("server", 10**30)

    assert len(Control(own_lab).programs()) == 1


def test_a_client_that_goes_before_its_answer_does_no_harm(own_lab: LabState) -> None:
    for _ in range(50):
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock,
            socket_path(own_lab, "control") as path,
        ):
            sock.connect(path)
            sock.send(b'{"do": "list"}')

    assert Control(own_lab).programs() == []


@pytest.mark.parametrize("number", ["INT", "TERM", "HUP", "QUIT", "USR1", "KILL", "STOP"])
def test_no_signal_from_inside_ends_the_lab(lab: LabState, number: str) -> None:
    run(lab, "sh", "-c", f"kill -s {number} 1")

    assert run(lab, "echo", "alive") == "alive\n"


def test_a_socket_that_was_asked_for_lives_in_the_node(lab: LabState) -> None:
    netns = lab.netns("server")
    assert netns is not None
    with Control(lab).open_socket(netns, socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("10.0.1.1", 0))
        address, _ = sock.getsockname()

    assert address == "10.0.1.1"
