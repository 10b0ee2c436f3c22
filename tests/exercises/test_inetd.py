"""The reference and openbsd-inetd with the same services: clients see no difference."""

import re
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from labctl.grading.lab import Lab, as_checked, checked_lab
from labctl.grading.program import Program
from labctl.topology.load import load_topology_uncached
from labctl.wait import until
from tests.exercises.running import reference
from tests.limits import LIMIT_S

pytestmark = pytest.mark.kernel

LABS = Path(__file__).parent.parent.parent / "labs"
SERVER = "10.0.1.1"

ANSWERS_WITH_ITS_PID = """
import os, socket
sock = socket.socket(fileno=0)
data = b""
while data != b"end":
    data, sender = sock.recvfrom(2000)
    sock.sendto(b"%d" % os.getpid(), sender)
"""

INTERNAL = {"echo": 7, "discard": 9, "daytime": 13, "chargen": 19, "time": 37}


class SuperServer(NamedTuple):
    """One of the two, with its configuration."""

    lab: Lab
    program: Program
    file: Path
    is_ours: bool

    def everything(self, port: int) -> bytes:
        client = self.lab["client1"].connect((SERVER, port), within_s=LIMIT_S)
        return client.everything(within_s=LIMIT_S)

    def ask(self, port: int, question: bytes) -> bytes:
        client = self.lab["client1"].udp(to=(SERVER, port))
        client.send(question)
        return client.receive(within_s=LIMIT_S)


@pytest.fixture(params=["ours", "openbsd-inetd"])
def inetd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SuperServer]:
    is_ours = request.param == "ours"
    if not is_ours and not shutil.which("inetd"):
        pytest.skip("openbsd-inetd is not installed")
    script = tmp_path / "datagrams.py"
    script.write_text(ANSWERS_WITH_ITS_PID)
    lines = [
        "8001 stream tcp nowait root /bin/cat cat",
        "8002\tstream\ttcp\tnowait\troot\t/bin/cat other-name /proc/self/cmdline",
        f"8003 dgram udp wait root /usr/bin/env env {sys.executable} {script}",
        "8004 stream tcp nowait root /no/such/server server",
        "8005 dgram udp wait root /no/such/server server",
        *(f"{_internal(name, is_ours)}" for name in INTERNAL),
    ]
    file = tmp_path / "inetd.conf"
    file.write_text("# a comment\n\n" + "".join(f"{line}\n" for line in lines))
    command = (sys.executable, reference("inetd/inetd")) if is_ours else ("inetd", "-i")
    topology = as_checked(load_topology_uncached(str(LABS / "two_clients.yaml"), {}))
    # Rootless: with a /run of its own, where the real one writes its pid.
    with checked_lab(topology, is_rootless=True, seed=1) as lab:
        program = lab["server"].start(*command, str(file))
        server = SuperServer(lab, program, file, is_ours)
        # The last line; its datagram socket is the last of all.
        assert until(lambda: bool(lab["server"].sockets("udp", INTERNAL["time"])), LIMIT_S)
        yield server


def _internal(name: str, is_ours: bool) -> str:
    port, argument = (INTERNAL[name], name) if is_ours else (name, "")
    return (
        f"{port} stream tcp nowait root internal {argument}\n"
        f"{port} dgram udp wait root internal {argument}"
    )


def _listens(lab: Lab, port: int) -> bool:
    return any(s.state == "LISTEN" for s in lab["server"].sockets("tcp", port))


def test_servers_and_internal_services(inetd: SuperServer) -> None:
    client = inetd.lab["client1"].connect((SERVER, 8001))
    client.send(b"hello")
    assert client.receive_exactly(5) == b"hello"
    client.finish()
    client.expect_end()
    assert inetd.everything(8002) == b"other-name\0/proc/self/cmdline\0"
    assert inetd.everything(8004) == b""
    assert inetd.ask(INTERNAL["echo"], b"") == b""
    assert inetd.ask(INTERNAL["echo"], b"hello") == b"hello"
    for daytime in (inetd.everything(INTERNAL["daytime"]), inetd.ask(INTERNAL["daytime"], b"")):
        assert re.fullmatch(rb"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\r\n", daytime)
    seconds, again = inetd.everything(INTERNAL["time"]), inetd.ask(INTERNAL["time"], b"")
    assert 0 <= int.from_bytes(again) - int.from_bytes(seconds) < LIMIT_S
    chargen = inetd.lab["client1"].connect((SERVER, INTERNAL["chargen"]))
    first, second = chargen.receive_exactly(148)[:74], chargen.receive_exactly(74)
    assert first == bytes(range(0x20, 0x20 + 72)) + b"\r\n"
    assert second == bytes(range(0x22, 0x22 + 72)) + b"\r\n"
    assert len(inetd.ask(INTERNAL["chargen"], b"")) == 74


def test_wait_and_a_datagram_for_nobody(inetd: SuperServer) -> None:
    first = inetd.ask(8003, b"one")
    assert inetd.ask(8003, b"end") == first
    assert until(lambda: len(inetd.program.pids()) == 1, LIMIT_S)
    assert inetd.ask(8003, b"one") != first
    inetd.lab["client1"].udp(to=(SERVER, 8005)).send(b"hello")
    assert inetd.ask(INTERNAL["echo"], b"hello") == b"hello"


def test_sighup(inetd: SuperServer) -> None:
    served = inetd.lab["client1"].connect((SERVER, 8001))
    served.send(b"before")  # it has a server only when that has answered
    assert served.receive_exactly(6) == b"before"
    inetd.file.write_text("8002 stream tcp nowait root /bin/cat changed /proc/self/cmdline\n")
    inetd.program.signal(signal.SIGHUP)
    # In which order it closes and opens is its own business.
    assert until(lambda: not _listens(inetd.lab, 8001) and _listens(inetd.lab, 8002), LIMIT_S)
    assert inetd.everything(8002) == b"changed\0/proc/self/cmdline\0"
    served.send(b"still there")
    assert served.receive_exactly(11) == b"still there"
