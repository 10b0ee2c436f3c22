import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from labctl.kernel import messages
from labctl.topology.rule_file import rules_from
from labctl.topology.rules import dump_rules
from labctl.wait import until
from tests.limits import LIMIT_S
from tests.own_namespace import COMMAND, ENVIRONMENT

pytestmark = pytest.mark.kernel

PLACE = {"direction": "a->b", "reader": "inb", "writer": "outa"}

_PAIRS = """
for pair in in out; do
    ip link add ${pair}a type veth peer name ${pair}b
    for end in a b; do ip link set $pair$end up; done
done
exec "$@"
"""


class Asked:
    """An emulator in a namespace of its own, and its control socket."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(self.path)
            listener.listen()
            self.process: subprocess.Popen[bytes] = subprocess.Popen(
                [*COMMAND, "sh", "-c", _PAIRS, "sh", sys.executable, "-m", "labctl.wire.emulator"],
                stdin=listener.fileno(),
                stdout=subprocess.PIPE,
                env=ENVIRONMENT,
            )

    def connected(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.settimeout(LIMIT_S)
        sock.connect(self.path)
        return sock

    def ask(self, request: Mapping[str, object], *fds: int) -> dict[str, Any]:
        with self.connected() as sock:
            messages.send(sock, request, fds)
            answer, _ = messages.receive(sock)
        assert answer is not None
        return answer

    def open_files(self) -> int:
        """Return how many files are open once it waits: it closes a connection after the answer."""
        process = Path(f"/proc/{self.process.pid}")
        assert until(lambda: "State:\tS" in (process / "status").read_text(), LIMIT_S)
        return len(list((process / "fd").iterdir()))

    def said(self) -> str:
        """Return the next line of its log."""
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], LIMIT_S)[0]
        return self.process.stdout.readline().decode()


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Asked]:
    asked = Asked(tmp_path / "socket")
    with asked.process:
        try:
            yield asked
        finally:
            asked.process.kill()


def rules(*each: dict[str, object]) -> str:
    return dump_rules(rules_from({"a->b": list(each)}))


def test_it_answers_what_it_does(emulator: Asked) -> None:
    assert emulator.ask({"do": "show"}) == {"directions": []}

    answer = emulator.ask({"do": "impair", "words": ["loss", "40%"], **PLACE})

    assert (answer["direction"], answer["words"]) == ("a->b", ["loss", "40%"])
    assert set(answer["counters"].values()) == {0}
    assert emulator.ask({"do": "show"})["directions"] == [answer]


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"do": "sing"},
        {"do": "impair", "words": ["sing"], **PLACE},
        {"do": "impair", "words": 7, **PLACE},
        {"do": "impair", "words": ["loss", "1%"], **PLACE, "reader": "nothing0"},
        {"do": "rules", "rules": "no JSON", **PLACE},
        {"do": "rules", "rules": rules({"drop": {"match": "udp prot 1"}}), **PLACE},
        {"do": "clear"},
    ],
)
def test_a_request_that_makes_no_sense_is_an_answer_and_changes_nothing(
    emulator: Asked, request_: dict[str, object]
) -> None:
    assert set(emulator.ask(request_)) == {"error"}
    assert emulator.ask({"do": "show"}) == {"directions": []}


def test_rubbish_does_not_end_it(emulator: Asked) -> None:
    with emulator.connected() as sock:
        sock.send(b"\xff\xfe{")
        assert set(messages.receive(sock)[0] or {}) == {"error"}
    with emulator.connected():
        pass  # gone without a word
    assert emulator.ask({"do": "show"}) == {"directions": []}


def test_who_connects_and_says_nothing_keeps_nobody_waiting(emulator: Asked) -> None:
    with emulator.connected():
        assert emulator.ask({"do": "show"}) == {"directions": []}


def test_requests_leave_no_files_open(emulator: Asked, tmp_path: Path) -> None:
    with (tmp_path / "fates").open("ab") as fates:
        arm = {"do": "rules", "rules": rules({"drop": {"match": "udp"}}), **PLACE}
        emulator.ask(arm, fates.fileno())
        before = emulator.open_files()
        for _ in range(20):
            emulator.ask(arm, fates.fileno())
            emulator.ask({"do": "impair", "words": ["loss", "1%"], **PLACE}, fates.fileno())
            emulator.ask({"do": "rules", "rules": "no JSON", **PLACE}, fates.fileno())
            emulator.ask({"do": "show"})

    assert emulator.open_files() == before


def test_a_cleared_direction_is_not_shown_and_may_come_back(emulator: Asked) -> None:
    impair = {"do": "impair", "words": ["delay", "1ms"], **PLACE}
    emulator.ask(impair)

    assert emulator.ask({"do": "clear", "direction": "a->b"}) == {}
    assert emulator.ask({"do": "show"}) == {"directions": []}
    assert emulator.ask({"do": "clear", "direction": "a->b"}) == {}
    assert emulator.ask(impair)["words"] == ["delay", "1ms"]
    assert len(emulator.ask({"do": "show"})["directions"]) == 1


def test_it_lets_go_of_what_was_cleared(emulator: Asked) -> None:
    emulator.ask({"do": "show"})
    before = emulator.open_files()
    emulator.ask({"do": "impair", "words": ["delay", "1ms"], **PLACE})
    assert emulator.open_files() == before + 2

    emulator.ask({"do": "clear", "direction": "a->b"})

    # It lingers for a second: see flow.py.
    assert until(lambda: emulator.open_files() == before, LIMIT_S)


def test_a_file_of_fates_that_is_full_is_said_once(emulator: Asked) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    emulator.ask({"do": "rules", "rules": rules({"drop": {}}), **PLACE}, full)
    os.close(full)
    # The ids as they are: an ordinary user may not set the groups in there.
    enter = ("nsenter", "--preserve-credentials", "-t", str(emulator.process.pid), "-U", "-n")
    subprocess.run([*enter, sys.executable, "-c", _SEND], check=True, env=ENVIRONMENT)

    assert emulator.said() == "a->b: the fate log cannot be written: No space left on device\n"

    def all_dropped() -> dict[str, Any] | None:
        [shown] = emulator.ask({"do": "show"})["directions"]
        return shown if shown["rules"][0]["fired"] >= 3 else None

    assert (shown := until(all_dropped, LIMIT_S))
    assert shown["unlogged"] == shown["rules"][0]["fired"]


_SEND = """
import socket
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
sock.bind(("ina", 3))
for _ in range(3):
    sock.send(bytes(60))
"""
