from collections.abc import Callable, Iterator

import pytest

from labctl.errors import LabError
from labctl.kernel.control import Control
from labctl.kernel.state import LabState
from labctl.programs import supervise
from labctl.programs.logs import read_log
from labctl.programs.supervise import (
    check_name,
    describe_end,
    find_status,
    free_name,
    start_program,
    stop_program,
)
from labctl.wait import until
from tests.limits import LIMIT_S
from tests.owners import OWNERS, owner_of_kind

UDP_SERVER = """
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("", 8080))
sock.recv(1)
"""


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "ended with exit status 0"),
        (3, "ended with exit status 3"),
        (-9, "was ended by SIGKILL"),
        (-40, "was ended by signal 40"),
    ],
)
def test_an_end_is_described(status: int, words: str) -> None:
    assert describe_end(status) == words


@pytest.mark.parametrize("name", ["server", "time_server-2", "a.b", "7"])
def test_a_name_may_be_a_word(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".old", "-x", "a b", "x" * 65, "é"])
def test_a_name_may_not_be_a_path_or_an_option(name: str) -> None:
    with pytest.raises(LabError, match="cannot be the name of a program"):
        check_name(name)


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[LabState]:
    owner = owner_of_kind(OWNERS[0], request)
    with owner.lab() as name:
        yield owner.state(name)


@pytest.mark.kernel
def test_a_program_that_listens_is_ready(lab: LabState) -> None:
    command = ("python3", "-c", UDP_SERVER)
    program = start_program(
        lab, "server", "server", command, ready="listening udp/8080", ready_within_s=LIMIT_S
    )

    assert find_status(Control(lab), "server").pid == program.pid


@pytest.mark.kernel
def test_a_program_that_ends_before_it_is_ready_is_an_error_with_its_output(lab: LabState) -> None:
    with pytest.raises(LabError, match="ended with exit status 3 before it was ready") as error:
        start_program(
            lab,
            "x",
            "server",
            ("sh", "-c", "echo no luck; exit 3"),
            ready="listening udp/8080",
            ready_within_s=LIMIT_S,
        )

    assert error.value.output == "no luck"


@pytest.mark.kernel
def test_a_program_that_says_its_word_and_ends_was_ready(lab: LabState) -> None:
    script = ("sh", "-c", "echo done")
    start_program(lab, "x", "server", script, ready="log done", ready_within_s=LIMIT_S)


@pytest.mark.kernel
def test_a_program_that_is_not_ready_in_time_is_stopped_and_its_output_is_shown(
    lab: LabState, monkeypatch: pytest.MonkeyPatch
) -> None:
    def until_it_has_spoken(outcome: Callable[[], str], _: float) -> str:
        # However long the program takes to say its word, the time is over only then.
        assert until(lambda: b"still busy" in read_log(lab, "x"), LIMIT_S)
        return outcome()

    monkeypatch.setattr(supervise, "until", until_it_has_spoken)
    with pytest.raises(LabError, match="was not ready") as error:
        start_program(
            lab,
            "x",
            "server",
            ("sh", "-c", "echo still busy; exec tail -f /dev/null"),
            ready="log never",
        )

    assert error.value.output == "still busy"
    assert find_status(Control(lab), "x").ended is not None


@pytest.mark.kernel
def test_stopping_ends_the_programs_children_too(lab: LabState) -> None:
    script = ("sh", "-c", "tail -f /dev/null & echo up; wait")
    start_program(lab, "x", "server", script, ready="log up", ready_within_s=LIMIT_S)
    ended = stop_program(lab, "x")

    assert ended.exit_status == -15


@pytest.mark.kernel
@pytest.mark.slow
def test_a_program_that_ignores_sigterm_is_killed(lab: LabState) -> None:
    script = ("sh", "-c", "trap '' TERM; echo up; while :; do sleep 1000; done")
    start_program(lab, "x", "server", script, ready="log up", ready_within_s=LIMIT_S)

    assert stop_program(lab, "x").exit_status == -9


@pytest.mark.kernel
def test_a_program_that_was_never_started_cannot_be_stopped(lab: LabState) -> None:
    with pytest.raises(LabError, match='the lab has no program "x"'):
        stop_program(lab, "x")


@pytest.mark.kernel
def test_a_name_in_use_gets_a_number(lab: LabState) -> None:
    control = Control(lab)
    assert free_name(control, "tail") == "tail"
    for name in ("tail", "tail-2"):
        start_program(lab, name, "server", ("tail", "-f", "/dev/null"))

    assert free_name(control, "tail") == "tail-3"
