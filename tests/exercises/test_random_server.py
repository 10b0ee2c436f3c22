"""The servers of flow-control and close-handling: the second does all that the first does."""

import signal
import socket
from collections.abc import Iterator

import pytest

from tests.exercises.running import Running, connect, read_all, run, running, serving

Address = tuple[str, int]
Server = tuple[Running, Address]

SERVERS = ("flow-control/random_server", "close-handling/random_server")


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serving(request.param) as started:
        yield started


def stream(seed: int, length: int) -> bytes:
    table = bytearray()
    for _ in range(65521):
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        table.append(seed >> 16 & 0xFF)
    return (bytes(table) * (length // len(table) + 1))[:length]


def request(seed: int, length: int) -> bytes:
    return b"RANDOM %d %d\n" % (seed, length)


def receive(connection: socket.socket, length: int) -> bytes:
    received = b""
    while len(received) < length:
        chunk = connection.recv(length - len(received))
        assert chunk, f"the connection ended after {len(received)} bytes"
        received += chunk
    return received


def closed(program: Running) -> str:
    """Return why the next client is gone."""
    while not (line := program.line()).startswith("closed "):
        pass
    return line.split(": ", 1)[1]


def test_the_table_of_seed_1_is_as_the_brief_says(server: Server) -> None:
    with connect(server[1]) as connection:
        connection.sendall(request(1, 8))
        assert receive(connection, 8).hex(" ") == "c6 7e 81 6b 4b fb e2 fb"


@pytest.mark.parametrize("length", [0, 1, 16384, 65520, 65521, 65522, 300_000])
def test_a_stream_has_the_length_that_was_asked_for(server: Server, length: int) -> None:
    with connect(server[1]) as connection:
        connection.sendall(request(2**31 - 1, length))
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == stream(2**31 - 1, length)
    assert closed(server[0]) == "end"


def test_requests_may_come_together_and_in_pieces(server: Server) -> None:
    with connect(server[1]) as connection:
        connection.sendall(request(1, 10) + request(2, 20) + b"RAN")
        assert receive(connection, 30) == stream(1, 10) + stream(2, 20)
        connection.sendall(b"DOM 3 30\n")
        assert receive(connection, 30) == stream(3, 30)


@pytest.mark.parametrize(
    "bad",
    [
        b"\n",
        b"RANDOM 1\n",
        b"RANDOM 1 1 1\n",
        b"random 1 1\n",
        b"RANDOM  1 1\n",
        b"RANDOM -1 1\n",
        b"RANDOM 2147483648 1\n",
        b"RANDOM 1 1000000000000\n",
        b"RANDOM 1 1",
        b"RANDOM 1 1\r\n",
        b"x" * 65,
    ],
)
def test_what_is_no_request_ends_the_connection(server: Server, bad: bytes) -> None:
    with connect(server[1]) as connection:
        connection.sendall(bad)
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == b""
    assert closed(server[0]) == "no request"


def test_one_who_does_not_read_keeps_nobody_waiting(server: Server) -> None:
    with connect(server[1]) as slow, connect(server[1]) as other:
        slow.sendall(request(1, 10**12 - 1))
        slow.recv(1, socket.MSG_PEEK)
        other.sendall(request(2, 100_000))
        assert receive(other, 100_000) == stream(2, 100_000)


def test_bytes_left_unread_are_a_reset(server: Server) -> None:
    with connect(server[1]) as connection:
        connection.sendall(request(1, 10**12 - 1))
        connection.recv(1, socket.MSG_PEEK)
    assert closed(server[0]) == "ECONNRESET (Connection reset by peer)"


def test_a_stopped_writer_loses_nothing(server: Server) -> None:
    program, address = server
    with connect(address) as connection:
        connection.sendall(request(4, 5_000_000))
        received = b""
        for _ in range(5):
            received += receive(connection, 100_000)
            program.stop()
            program.signal(signal.SIGCONT)
        received += receive(connection, 4_500_000)
    assert received == stream(4, 5_000_000)


def test_one_who_takes_nothing_is_given_up() -> None:
    with running("close-handling/random_server", "127.0.0.1", "0", "-t", "100") as program:
        port = int(program.line().rpartition(":")[2])
        assert program.line() == "READY"
        with connect(("127.0.0.1", port)) as connection:
            connection.sendall(request(1, 10**12 - 1))
            assert closed(program) == "ETIMEDOUT (Connection timed out)"


def test_ctrl_c_ends_it_while_a_client_is_connected(server: Server) -> None:
    program, address = server
    with connect(address):
        program.signal(signal.SIGINT)
        assert program.end() == (130, "")


@pytest.mark.parametrize("text", ["0", "", "x", "1000000", "-1"])
def test_patience_is_a_number_of_milliseconds(text: str) -> None:
    done = run("close-handling/random_server", "127.0.0.1", "0", "-t", text)
    assert done.returncode == 1
    assert done.stderr.decode() == f'error: -t: "{text}" is not a number from 1 to 999999\n'
