"""DiagSocket shows what ss shows."""

import socket
from collections.abc import Iterator

import pytest

from labctl.kernel.diag import DiagSocket


@pytest.fixture
def diag() -> Iterator[DiagSocket]:
    with socket.socket(DiagSocket.FAMILY, DiagSocket.KIND, DiagSocket.PROTOCOL) as sock:
        yield DiagSocket(sock)


def test_a_listening_socket_is_bound(diag: DiagSocket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert diag.is_bound("tcp", port)
        assert not diag.is_bound("udp", port)
    assert not diag.is_bound("tcp", port)


def test_a_socket_that_is_only_bound_does_not_listen(diag: DiagSocket) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        assert not diag.is_bound("tcp", server.getsockname()[1])


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_bound_udp_socket_is_shown_with_its_address(diag: DiagSocket, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))
        port = sock.getsockname()[1]
        assert diag.is_bound("udp", port)
        entries = [e for e in diag.sockets("udp") if e.local_port == port]
        assert [(e.local, e.state) for e in entries] == [(address, "UNCONN")]


def test_a_connected_udp_socket_is_not_a_server(diag: DiagSocket) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", 9))
        assert not diag.is_bound("udp", sock.getsockname()[1])


def test_queues_count_bytes_and_waiting_connections(diag: DiagSocket) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=7) as server, socket.socket() as client:
        port = server.getsockname()[1]
        client.connect(server.getsockname())
        client.sendall(b"12345")
        shown = {e.state: e for e in diag.sockets("tcp") if e.local_port == port}
        assert (shown["LISTEN"].recv_q, shown["LISTEN"].send_q) == (1, 7)
        assert shown["ESTAB"].recv_q == 5
        assert shown["ESTAB"].peer_port == client.getsockname()[1]
