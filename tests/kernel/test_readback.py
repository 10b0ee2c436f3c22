"""What a node of a running lab has; test_explain_agrees.py compares all of it with ip(8)."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from labctl.kernel.control import Control
from labctl.kernel.control_path import socket_path
from labctl.kernel.readback import InstalledRoute, read_node
from labctl.lab import RunningLab, open_lab
from tests.limits import LIMIT_S
from tests.owners import unique_name

pytestmark = pytest.mark.kernel


def labctl(*words: str) -> str:
    command = [sys.executable, "-m", "labctl", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def lab() -> Iterator[RunningLab]:
    name = unique_name()
    labctl("up", "two_clients", "--rootless", "--name", name)
    try:
        yield open_lab(name)
    finally:
        labctl("down", name)


def test_an_interface_that_is_set_down_is_shown_down_and_its_peer_without_carrier(
    lab: RunningLab,
) -> None:
    labctl("exec", "-l", lab.name, "server", "--", "ip", "link", "set", "veth_srv_c1", "down")
    control = Control(lab.state)
    server = {i.name: i for i in read_node(control, lab.netns("server")).interfaces}
    assert not server["veth_srv_c1"].is_up
    assert server["veth_srv_c2"].is_up
    [client] = [i for i in read_node(control, lab.netns("client1")).interfaces if not i.is_loopback]
    assert client.is_up
    assert not client.has_carrier


def test_a_request_is_answered_after_all_that_was_announced_before_it(lab: RunningLab) -> None:
    os.kill(lab.holder.pid, signal.SIGSTOP)
    noise = "for i in 1 2 3 4 5 6 7 8 9; do ip link set veth_srv_c2 mtu 140$i; done"
    change = f"{noise}; ip link set veth_srv_c1 down"
    labctl("exec", "-l", lab.name, "server", "--", "sh", "-c", change)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        with socket_path(lab.state, "control") as path:
            sock.connect(path)
        sock.send(b'{"do": "list"}')
        sock.settimeout(LIMIT_S)
        os.kill(lab.holder.pid, signal.SIGCONT)
        sock.recv(100)
    os.kill(lab.holder.pid, signal.SIGSTOP)
    carrier = labctl("exec", "-l", lab.name, "client1", "cat", "/sys/class/net/veth_c1/carrier")

    assert carrier == "0\n"


def test_routes_tell_the_gateway_and_what_is_on_the_link(lab: RunningLab) -> None:
    routes = read_node(Control(lab.state), lab.netns("client1")).routes
    assert set(routes) == {
        InstalledRoute("default", "10.0.1.1", "veth_c1"),
        InstalledRoute("10.0.1.0/24", "", "veth_c1"),
    }
