"""The tutorial's first hour, from the lab file to the last packet, in both modes.

A server between two networks, one client on each; the time server; both clients served; the
server bound to one address only; and nothing left at the end. What happened is read from the
kernel (sockets, packets) as well as from what the programs print.
"""

import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.kernel.control import Control
from labctl.kernel.diag import DiagSocket
from labctl.kernel.state import LabState
from labctl.lab import RunningLab, open_lab
from labctl.wait import until
from tests.limits import LIMIT_S

pytestmark = [pytest.mark.kernel, pytest.mark.xdist_group("root-names")]

LAB = "two_clients"

CLIENTS = {"client1": "10.0.1.1", "client2": "10.0.2.1"}
"""Each client, and the server's address on its network."""


def labctl(*words: str) -> str:
    """Run labctl, which must succeed, and return what it printed."""
    command = [sys.executable, "-m", "labctl", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(params=["root", "rootless"])
def lab(request: pytest.FixtureRequest) -> Iterator[RunningLab]:
    """The lab of the tutorial, up."""
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("root mode needs root")
    labctl("up", f"--{request.param}", LAB)
    running = open_lab(LAB)
    assert running.holder.mode == request.param
    try:
        yield running
    finally:
        labctl("down", LAB)
        assert not LabState(LAB).exists()
        assert not running.is_alive()
        assert not list(Path("/run/netns").glob("ns_client?"))
        os.close(running.pidfd)


def test_the_lab_comes_up_as_its_file_says(lab: RunningLab) -> None:
    shown = json.loads(labctl("status", LAB, "--json"))
    addresses = {
        (name, interface["name"]): interface["addresses"]
        for name, node in shown["nodes"].items()
        for interface in node["interfaces"]
        if not interface["is_loopback"]
    }
    assert addresses == {
        ("client1", "veth_c1"): ["10.0.1.2/24"],
        ("client2", "veth_c2"): ["10.0.2.2/24"],
        ("server", "veth_srv_c1"): ["10.0.1.1/24"],
        ("server", "veth_srv_c2"): ["10.0.2.1/24"],
    }
    # Client 1 reaches client 2 because the server routes.
    labctl("exec", "-l", LAB, "client1", "--", "ping", "-c", "2", "-i", "0.2", "10.0.2.2")
    labctl("ping", LAB)


def test_both_clients_are_served(lab: RunningLab) -> None:
    labctl(
        "run",
        "-l",
        LAB,
        "-d",
        "--ready",
        "listening udp/8080",
        "server",
        "time_server",
        "0.0.0.0",
        "8080",
    )
    assert bound_addresses(lab, 8080) == ["0.0.0.0"]
    for client, server in CLIENTS.items():
        with wiretap(lab, client) as tap:
            told = labctl("run", "-l", LAB, client, "time_client", server, "8080")
            assert told.startswith("time seq=")
            seen = udp_datagrams(tap)
            asked = next(seen)
            # The client may have repeated its question meanwhile.
            answered = next(datagram for datagram in seen if datagram.source == server)
        assert (asked.destination, asked.destination_port, len(asked.data)) == (server, 8080, 16)
        assert (answered.source_port, len(answered.data)) == (8080, 24)
        sequence = struct.unpack_from("!I", asked.data, 4)
        assert struct.unpack_from("!I", answered.data, 4) == sequence
        assert f"seq={sequence[0]} " in told
        assert f"seq={sequence[0]}" in labctl("logs", "-l", LAB, "time_server")
    assert "was ended by SIGTERM" in labctl("stop", "-l", LAB, "time_server")
    assert bound_addresses(lab, 8080) == []


def test_a_server_bound_to_one_address_refuses_the_other_network(lab: RunningLab) -> None:
    labctl(
        "run",
        "-l",
        LAB,
        "-d",
        "--ready",
        "listening udp/8080",
        "server",
        "time_server",
        "10.0.1.1",
        "8080",
    )
    labctl("run", "-l", LAB, "client1", "time_client", "10.0.1.1", "8080")
    command = [
        sys.executable,
        "-m",
        "labctl",
        "run",
        "-l",
        LAB,
        "client2",
        "time_client",
        "10.0.2.1",
        "8080",
    ]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 4, refused.stderr  # the kernel's port unreachable
    # The server routes, and its address is its own whichever interface a packet comes in by.
    labctl("run", "-l", LAB, "client2", "time_client", "10.0.1.1", "8080")


def test_a_second_server_finds_the_address_in_use(lab: RunningLab) -> None:
    labctl(
        "run",
        "-l",
        LAB,
        "-d",
        "--ready",
        "listening udp/8080",
        "server",
        "time_server",
        "0.0.0.0",
        "8080",
    )
    command = ["run", "-l", LAB, "server", "time_server", "0.0.0.0", "8080"]
    done = subprocess.run(
        [sys.executable, "-m", "labctl", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "EADDRINUSE" in done.stderr


def test_a_client_is_established_before_the_sink_accepts(lab: RunningLab) -> None:
    netns = lab.netns("server")
    steps = subprocess.Popen(
        [sys.executable, "-m", "labctl", "run", "-l", LAB, "server", "byte_sink"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert steps.stdin is not None
    assert steps.stdout is not None

    def step(command: str) -> str:
        print(command, file=steps.stdin, flush=True)
        assert steps.stdout is not None
        return steps.stdout.readline().strip()

    try:
        assert step("b") == "BOUND 0.0.0.0:8080"
        with tcp_socket(lab, "client1") as client, pytest.raises(ConnectionRefusedError):
            client.connect(("10.0.1.1", 8080))
        assert step("l 1") == "LISTENING 1"
        with tcp_socket(lab, "client1") as client:
            client.connect(("10.0.1.1", 8080))
            client.sendall(bytes(1000))
            states = until(lambda: queues(lab, netns, 8080, expect=1000), LIMIT_S)
            assert states == {"LISTEN": 1, "ESTAB": 1000}
            assert step("a").startswith("ACCEPTED 10.0.1.2:")
            assert step("r 300") == "RECEIVED 300"
            assert queues(lab, netns, 8080, expect=700) == {"LISTEN": 0, "ESTAB": 700}
            client.shutdown(socket.SHUT_WR)
            assert step("r 9999") == "RECEIVED 700"
            assert step("r 1") == "EOF"
            assert step("c") == "CLOSED"
    finally:
        steps.stdin.close()
        steps.wait()
        steps.stdout.close()


def test_the_second_kv_client_is_answered_when_the_first_has_gone(lab: RunningLab) -> None:
    labctl("run", "-l", LAB, "-d", "--ready", "listening tcp/8085", "server", "kv_store")
    with tcp_socket(lab, "client1") as first, tcp_socket(lab, "client2") as second:
        first.connect(("10.0.1.1", 8085))
        first.sendall(b"PUT colour 4\nblue\n")
        assert first.recv(100) == b"OK\n"
        second.connect(("10.0.2.1", 8085))
        second.sendall(b"GET colour\n")
        # Connected and acknowledged, though the server does not know of it yet.
        netns = lab.netns("server")
        assert until(lambda: queues(lab, netns, 8085, expect=len(b"GET colour\n")), LIMIT_S)
        second.settimeout(0)
        with pytest.raises(BlockingIOError):
            second.recv(100)
        first.close()
        second.settimeout(LIMIT_S)
        assert second.recv(100) == b"VALUE 4\nblue\n"


def bound_addresses(lab: RunningLab, port: int) -> list[str]:
    """Return the addresses at which a UDP port of the server is bound, as the kernel says."""
    control, netns = Control(lab.state), lab.netns("server")
    with control.open_socket(
        netns, DiagSocket.FAMILY, DiagSocket.KIND, DiagSocket.PROTOCOL
    ) as sock:
        return [
            entry.local for entry in DiagSocket(sock).sockets("udp") if entry.local_port == port
        ]


def queues(lab: RunningLab, netns: str, port: int, *, expect: int) -> dict[str, int] | None:
    """Return state → longest Recv-Q of a port's TCP sockets, once a connection's is as expected."""
    control = Control(lab.state)
    with control.open_socket(
        netns, DiagSocket.FAMILY, DiagSocket.KIND, DiagSocket.PROTOCOL
    ) as sock:
        entries = [e for e in DiagSocket(sock).sockets("tcp") if e.local_port == port]
    found = {e.state: e.recv_q for e in sorted(entries, key=lambda entry: entry.recv_q)}
    return found if found.get("ESTAB") == expect else None


def tcp_socket(lab: RunningLab, node: str) -> socket.socket:
    """Return a TCP socket that lives in a node."""
    sock = Control(lab.state).open_socket(lab.netns(node), socket.AF_INET, socket.SOCK_STREAM)
    sock.settimeout(LIMIT_S)
    return sock


class Datagram:
    """A UDP datagram as it was on the wire."""

    def __init__(self, frame: bytes) -> None:
        header = 14 + 4 * (frame[14] & 0x0F)
        self.source = socket.inet_ntoa(frame[26:30])
        self.destination = socket.inet_ntoa(frame[30:34])
        self.source_port, self.destination_port, length = struct.unpack_from("!HHH", frame, header)
        self.data = frame[header + 8 : header + length]


_ETH_P_ALL = 3


def wiretap(lab: RunningLab, node: str) -> socket.socket:
    """Return a socket that sees every frame of a node's only link."""
    tap = Control(lab.state).open_socket(
        lab.netns(node), socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL)
    )
    tap.settimeout(LIMIT_S)
    return tap


def udp_datagrams(tap: socket.socket) -> Iterator[Datagram]:
    """Yield each UDP datagram as it is seen, leaving out ARP and the like."""
    while True:
        frame = tap.recv(65536)
        if frame[12:14] == b"\x08\x00" and frame[23] == socket.IPPROTO_UDP:
            yield Datagram(frame)
