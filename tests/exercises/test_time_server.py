import re
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from tests.exercises.running import Running, run, serving
from tests.limits import LIMIT_S

REQUEST = bytes.fromhex("544d0101 01020304 1112131415161718")
"""The request with seq 0x01020304 and t_client 0x1112131415161718, byte by byte."""

Server = tuple[Running, tuple[str, int]]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving("udp-time/time_server") as started:
        yield started


@pytest.fixture
def client(server: Server) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(LIMIT_S)
        sock.connect(server[1])
        yield sock


def test_it_answers_with_these_bytes(server: Server, client: socket.socket) -> None:
    before_ns = time.time_ns()
    client.send(REQUEST)
    answer = client.recv(100)
    after_ns = time.time_ns()
    assert answer[:16] == bytes.fromhex("544d0102 01020304 1112131415161718")
    assert len(answer) == 24
    assert before_ns <= struct.unpack("!Q", answer[16:])[0] <= after_ns
    port = client.getsockname()[1]
    assert server[0].line() == f"request from 127.0.0.1:{port} seq=16909060"


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"", "0 bytes instead of 16"),
        (REQUEST[:-1], "15 bytes instead of 16"),
        (REQUEST + b"x", "17 bytes instead of 16"),
        (bytes(65507), "2048 bytes instead of 16"),
        (b"tm" + REQUEST[2:], "magic 746d instead of 544d"),
        (REQUEST[:2] + b"\2" + REQUEST[3:], "version 2 instead of 1"),
        (REQUEST[:3] + b"\2" + REQUEST[4:], "type 2 instead of 1"),
    ],
    ids=lambda value: f"{len(value)}-long",
)
def test_it_does_not_answer_what_is_no_request(
    server: Server, client: socket.socket, datagram: bytes, reason: str
) -> None:
    client.send(datagram)
    client.send(REQUEST)
    # On the loopback nothing is overtaken: the first answer belongs to the second datagram.
    assert client.recv(100)[4:8] == REQUEST[4:8]
    port = client.getsockname()[1]
    assert server[0].line() == f"ignored from 127.0.0.1:{port}: {reason}"
    assert server[0].line().startswith("request from ")
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(100)


def test_a_request_that_comes_twice_is_answered_twice(client: socket.socket) -> None:
    client.send(REQUEST)
    client.send(REQUEST)
    assert client.recv(100)[:16] == client.recv(100)[:16]


def test_a_client_that_is_gone_does_not_stop_it(server: Server, client: socket.socket) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.sendto(REQUEST, server[1])
    client.send(REQUEST)
    assert len(client.recv(100)) == 24


def test_the_first_server_still_serves_after_a_second_was_refused(
    server: Server, client: socket.socket
) -> None:
    assert run("udp-time/time_server", "127.0.0.1", str(server[1][1])).returncode == 1
    client.send(REQUEST)
    assert len(client.recv(100)) == 24


def test_client_and_server_understand_each_other(server: Server) -> None:
    before_ns = time.time_ns()
    done = run("udp-time/time_client", "127.0.0.1", str(server[1][1]), "-t", "60000")
    assert done.returncode == 0
    found = re.fullmatch(rb"time seq=\d+ ns=(\d+) rtt_us=\d+ tries=1\n", done.stdout)
    assert found
    assert before_ns <= int(found[1]) <= time.time_ns()
