import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.errors import LabError
from labctl.kernel.control import RequestRefused
from labctl.wire.client import EMULATOR, EmulatorClient, EmulatorSilent
from tests.wired_lab import WiredLab, wired_lab

pytestmark = pytest.mark.kernel


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[WiredLab]:
    with wired_lab(tmp_path) as lab:
        yield lab


@pytest.fixture
def client(lab: WiredLab) -> EmulatorClient:
    return EmulatorClient(lab.lab.state, lab.control)


def test_it_answers_the_first_request_after_it_was_started(client: EmulatorClient) -> None:
    assert not client.is_running()

    client.start()

    assert client.is_running()
    assert client.ask({"do": "show"}) == {"directions": []}


def test_there_is_only_one(client: EmulatorClient) -> None:
    client.start()

    with pytest.raises(RequestRefused, match="is running already"):
        client.start()


def test_another_may_be_started_once_it_has_died(lab: WiredLab, client: EmulatorClient) -> None:
    client.start()
    lab.kill_emulator()
    assert not client.is_running()

    client.start()

    assert client.ask({"do": "show"}) == {"directions": []}


def test_nobody_answers_where_none_was_started(client: EmulatorClient) -> None:
    with pytest.raises(EmulatorSilent):
        client.ask({"do": "show"})


def test_one_that_is_killed_over_a_request_is_silent(lab: WiredLab, client: EmulatorClient) -> None:
    client.start()
    client.ask({"do": "show"})
    # It does not take the request before it is dead.
    os.kill(pid := lab.emulator_pid(), signal.SIGSTOP)
    reader, writer = socket.socketpair()
    if (child := os.fork()) == 0:
        try:
            reader.recv(1)
            os.kill(pid, signal.SIGKILL)
        finally:
            os._exit(0)
    with reader, writer:
        writer.send(b"x")
        with pytest.raises(EmulatorSilent):
            client.ask({"do": "show"})
    os.waitpid(child, 0)


def test_what_it_refuses_is_an_error_with_its_words(client: EmulatorClient) -> None:
    client.start()

    with pytest.raises(LabError, match=r"the emulator refused: .*sing"):
        client.ask({"do": "sing"})


def test_its_name_is_one_that_no_program_of_a_user_can_have() -> None:
    from labctl.programs.supervise import check_name

    with pytest.raises(LabError):
        check_name(EMULATOR)
