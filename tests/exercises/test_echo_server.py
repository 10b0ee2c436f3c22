import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exercises.running import EXERCISES, Running, serving
from tests.limits import LIMIT_S

IN_C = EXERCISES / "08-udp-echo-trunc" / "reference-c"

Server = tuple[Running, tuple[str, int]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the program in C as its Makefile does, outside of the checkout."""
    folder = tmp_path_factory.mktemp("echo") / "c"
    shutil.copytree(IN_C, folder)
    made = subprocess.run(["make", "echo_server"], cwd=folder, capture_output=True, check=False)
    assert made.returncode == 0, made.stderr.decode()
    return folder / "echo_server"


@pytest.fixture(params=["python", "c"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    if request.param == "python":
        with serving("udp-echo-trunc/echo_server") as started:
            yield started
        return
    with start(request.getfixturevalue("built"), "127.0.0.1", "0") as process:
        try:
            program = Running(process)
            port = program.line().removeprefix("bound to 127.0.0.1:")
            assert program.line() == "READY"
            yield program, ("127.0.0.1", int(port))
        finally:
            process.kill()


def start(program: Path, *arguments: str | bytes) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [program, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, cwd="/"
    )


@pytest.fixture
def client(server: Server) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(LIMIT_S)
        sock.connect(server[1])
        yield sock


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 1400, 65507])
def test_the_answer_is_the_first_64_bytes(server: Server, client: socket.socket, size: int) -> None:
    sent = bytes(range(256)) * 256
    client.send(sent[:size])
    assert client.recv(65536) == sent[: min(size, 64)]
    assert server[0].line() == f"recv={min(size, 64)} trunc={int(size > 64)}"


def test_the_rest_of_a_cut_datagram_does_not_come_with_the_next(client: socket.socket) -> None:
    client.send(b"a" * 100)
    client.send(b"b")
    assert client.recv(1000) == b"a" * 64
    assert client.recv(1000) == b"b"


def test_a_client_that_is_gone_does_not_stop_it(server: Server, client: socket.socket) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.sendto(b"bye", server[1])
    client.send(b"still there?")
    assert client.recv(100) == b"still there?"


@pytest.mark.parametrize(
    ("arguments", "exit_status", "message"),
    [
        (("1", "2", "3"), 2, "usage: echo_server [ADDRESS [PORT]]\n"),
        (("localhost",), 1, 'error: address: "localhost" is not an IPv4 address\n'),
        (("127.0.0.1", "65536"), 1, 'error: port: "65536" is not a number from 0 to 65535\n'),
        (("127.0.0.1", "9" * 5000), 1, f'error: port: "{"9" * 5000}" is not a number'),
        (("127.0.0.1", "+80"), 1, 'error: port: "+80" is not a number from 0 to 65535\n'),
        (("203.0.113.1", "0"), 1, "error: bind: EADDRNOTAVAIL (Cannot assign requested address)\n"),
    ],
    ids=["usage", "a name", "a port too many", "a huge number", "a sign", "not ours"],
)
def test_in_c_it_reports_the_same_errors(
    built: Path, arguments: tuple[str, ...], exit_status: int, message: str
) -> None:
    with start(built, *arguments) as process:
        stdout, stderr = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, stdout) == (exit_status, b"")
    assert stderr.decode().startswith(message)
    assert stderr.count(b"\n") == 1


def test_in_c_it_reports_a_port_that_is_taken(built: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        with start(built, "127.0.0.1", str(other.getsockname()[1])) as process:
            stdout, stderr = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, stdout) == (1, b"")
    assert stderr == b"error: bind: EADDRINUSE (Address already in use)\n"


def test_in_c_a_reader_that_left_is_reported(built: Path) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [built, "127.0.0.1", "0"],
            stdout=write_end,
            stderr=subprocess.PIPE,
            check=False,
            timeout=LIMIT_S,
        )
    finally:
        os.close(write_end)
    assert done.returncode == 1
    assert done.stderr == b"error: write: EPIPE (Broken pipe)\n"
