import errno
import socket

import pytest

from tests.exercises.running import run, running


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_the_port_it_prints_is_taken(kind: str) -> None:
    with running("addrbind/addrbind", "127.0.0.1", "0", kind) as program:
        where, _, port = program.line().rpartition(":")
        assert where == "bound to 127.0.0.1"
        assert program.line() == "READY"
        second = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}[kind]
        with (
            socket.socket(socket.AF_INET, second) as other,
            pytest.raises(OSError, match="Address already in use") as refused,
        ):
            other.bind(("127.0.0.1", int(port)))
        assert refused.value.errno == errno.EADDRINUSE
        program.end_input()
        assert program.end() == (0, "")


def test_every_address_is_written_as_zeros() -> None:
    done = run("addrbind/addrbind", "0.0.0.0", "0")
    assert done.returncode == 0
    assert done.stdout.startswith(b"bound to 0.0.0.0:")


def test_a_socket_that_only_is_bound_refuses_connections() -> None:
    with running("addrbind/addrbind", "127.0.0.1", "0", "tcp") as program:
        port = int(program.line().rpartition(":")[2])
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


def test_a_word_that_is_neither_udp_nor_tcp_is_bad_usage() -> None:
    assert run("addrbind/addrbind", "127.0.0.1", "0", "sctp").returncode == 2
