"""DiagSocket shows what ss shows, of a network in which nobody else has a socket."""

import pytest

from tests.limits import LIMIT_S
from tests.own_namespace import run_in_namespace

pytestmark = pytest.mark.kernel

_DIAG = """
import socket, subprocess
from labctl.kernel.diag import DiagSocket
from labctl.wait import until
subprocess.run("ip link set lo up".split(), check=True)
diag = DiagSocket(socket.socket(DiagSocket.FAMILY, DiagSocket.KIND, DiagSocket.PROTOCOL))
"""


def run(code: str) -> list[str]:
    return run_in_namespace(_DIAG + code).split()


def test_a_listening_socket_is_bound() -> None:
    code = """
with socket.create_server(("127.0.0.1", 7000)):
    print(diag.is_bound("tcp", 7000), diag.is_bound("udp", 7000))
print(diag.is_bound("tcp", 7000))
"""
    assert run(code) == ["True", "False", "False"]


def test_a_socket_that_is_only_bound_does_not_listen() -> None:
    code = """
with socket.socket() as server:
    server.bind(("127.0.0.1", 7000))
    print(diag.is_bound("tcp", 7000))
"""
    assert run(code) == ["False"]


@pytest.mark.parametrize(("family", "address"), [("AF_INET", "127.0.0.1"), ("AF_INET6", "::1")])
def test_a_bound_udp_socket_is_shown_with_its_address(family: str, address: str) -> None:
    code = f"""
with socket.socket(socket.{family}, socket.SOCK_DGRAM) as sock:
    sock.bind(({address!r}, 7000))
    print(diag.is_bound("udp", 7000))
    for entry in diag.sockets("udp"):
        print(entry.local, entry.local_port, entry.state)
"""
    assert run(code) == ["True", address, "7000", "UNCONN"]


def test_a_connected_udp_socket_is_not_a_server() -> None:
    code = """
with socket.socket(type=socket.SOCK_DGRAM) as sock:
    sock.connect(("127.0.0.1", 9))
    print(diag.is_bound("udp", sock.getsockname()[1]))
"""
    assert run(code) == ["False"]


def test_queues_count_bytes_and_waiting_connections() -> None:
    code = f"""
with socket.create_server(("127.0.0.1", 7000), backlog=7) as server, socket.socket() as client:
    client.connect(server.getsockname())
    client.sendall(b"12345")
    shown = {{}}
    def is_there():
        shown.update((e.state, e) for e in diag.sockets("tcp") if e.local_port == 7000)
        return "ESTAB" in shown and (shown["LISTEN"].recv_q, shown["ESTAB"].recv_q) == (1, 5)
    print(until(is_there, {LIMIT_S}))
    print(shown["LISTEN"].send_q, shown["ESTAB"].peer_port == client.getsockname()[1])
"""
    assert run(code) == ["True", "7", "True"]
