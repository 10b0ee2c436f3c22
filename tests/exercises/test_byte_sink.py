import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.exercises.running import Running, connect, reference, run, running
from tests.limits import LIMIT_S

Address = tuple[str, int]


@pytest.fixture
def sink() -> Iterator[Running]:
    with running("byte-sink/byte_sink", "127.0.0.1", "0") as program:
        yield program


def bind(sink: Running) -> Address:
    answer = sink.ask(b"b")
    assert answer.startswith("BOUND 127.0.0.1:")
    return "127.0.0.1", int(answer.rpartition(":")[2])


def listen(sink: Running, backlog: int = 5) -> Address:
    address = bind(sink)
    assert sink.ask(b"l %d" % backlog) == f"LISTENING {backlog}"
    return address


def reset(connection: socket.socket) -> None:
    """Close with RST in place of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_a_connection_step_by_step(sink: Running) -> None:
    address = listen(sink)
    with connect(address) as client:
        client.sendall(b"hello")
        port = client.getsockname()[1]
        assert sink.ask(b"a") == f"ACCEPTED 127.0.0.1:{port}"
        assert sink.ask(b"r 2") == "RECEIVED 2"
        assert sink.ask(b"r 100") == "RECEIVED 3"
        client.shutdown(socket.SHUT_WR)
        assert sink.ask(b"r 100") == "EOF"
        assert sink.ask(b"c") == "CLOSED"
        assert client.recv(1) == b""
    sink.write(b"q\n")
    assert sink.end() == (0, "")


def test_before_listen_a_connection_is_refused(sink: Running) -> None:
    address = bind(sink)
    with pytest.raises(ConnectionRefusedError):
        connect(address)
    assert sink.ask(b"l 0") == "LISTENING 0"
    connect(address).close()


def test_handshake_and_data_need_no_accept(sink: Running) -> None:
    address = listen(sink)
    with connect(address) as first, connect(address) as second:
        first.sendall(b"x" * 1000)
        second.sendall(b"y" * 10)
    # Both have closed by now. What they sent is kept for whoever accepts.
    for size in (1000, 10):
        assert sink.ask(b"a").startswith("ACCEPTED ")
        assert sink.ask(b"r 9999") == f"RECEIVED {size}"
        assert sink.ask(b"r 9999") == "EOF"
        assert sink.ask(b"c") == "CLOSED"


def test_a_backlog_of_n_holds_n_plus_one_connections(sink: Running) -> None:
    address = listen(sink, 1)
    with connect(address), connect(address), socket.socket() as third:
        third.settimeout(0.2)
        with pytest.raises(TimeoutError):
            third.connect(address)


def test_a_reset_is_answered_and_the_next_client_can_come(sink: Running) -> None:
    address = listen(sink)
    client = connect(address)
    assert sink.ask(b"a").startswith("ACCEPTED ")
    reset(client)
    assert sink.ask(b"r 10") == "ERROR recv ECONNRESET"
    assert sink.ask(b"c") == "CLOSED"
    with connect(address):
        assert sink.ask(b"a").startswith("ACCEPTED ")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_it_can_be_restarted_at_once(sink: Running, end: signal.Signals) -> None:
    address = listen(sink)
    with connect(address) as client:
        assert sink.ask(b"a").startswith("ACCEPTED ")
        sink.signal(end)
        sink.end()
        # The server has closed first: its end is in FIN-WAIT-2 now, and in TIME-WAIT after this.
        assert client.recv(1) == b""
        with running("byte-sink/byte_sink", address[0], str(address[1])) as again:
            assert listen(again) == address
    with running("byte-sink/byte_sink", address[0], str(address[1])) as again:
        assert listen(again) == address


def test_a_second_live_one_is_refused(sink: Running) -> None:
    address = listen(sink)
    done = run("byte-sink/byte_sink", address[0], str(address[1]), stdin=b"b\n")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"error: bind: EADDRINUSE (Address already in use)\n"


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"a", "ERROR accept EINVAL"),
        (b"r 1", "ERROR not connected: a first"),
        (b"c", "ERROR not connected: a first"),
        (b"r 0", "ERROR commands: b, l N, a, r N, c, q"),
        (b"r " + b"9" * 5000, "ERROR commands: b, l N, a, r N, c, q"),
        (b"l -1", "ERROR commands: b, l N, a, r N, c, q"),
        (b"\xff\x00 \x1b[2J", "ERROR commands: b, l N, a, r N, c, q"),
    ],
)
def test_a_command_that_makes_no_sense_is_answered(
    sink: Running, command: bytes, answer: str
) -> None:
    assert sink.ask(command) == answer
    assert bind(sink)


def test_it_keeps_to_one_connection_at_a_time(sink: Running) -> None:
    address = listen(sink)
    with connect(address), connect(address):
        assert sink.ask(b"a").startswith("ACCEPTED ")
        assert sink.ask(b"a") == "ERROR still connected: c first"


def test_an_empty_line_takes_the_next_step(sink: Running) -> None:
    answer = sink.ask(b"")
    assert answer.startswith("BOUND ")
    assert sink.ask(b"") == "LISTENING 1"
    with connect(("127.0.0.1", int(answer.rpartition(":")[2]))) as client:
        client.sendall(b"x" * 20)
        assert sink.ask(b"").startswith("ACCEPTED ")
        assert sink.ask(b"") == "RECEIVED 16"
        assert sink.ask(b"") == "RECEIVED 4"
        client.shutdown(socket.SHUT_WR)
        assert sink.ask(b"") == "EOF"
        assert sink.ask(b"") == "CLOSED"


def test_a_person_at_a_terminal_is_told_the_next_step() -> None:
    keyboard, terminal = pty.openpty()
    with (
        closing(os.fdopen(keyboard, "r+b", buffering=0)),
        subprocess.Popen(
            [reference("byte-sink/byte_sink"), "127.0.0.1", "0"],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        ) as program,
    ):
        os.close(terminal)
        try:
            read_until(keyboard, rb"\[Enter = b, bind\] ")
            os.write(keyboard, b"\n")
            read_until(keyboard, rb"BOUND 127\.0\.0\.1:\d+\r\n\[Enter = l 1, listen\] ")
            os.write(keyboard, b"\x04")  # Ctrl-D
            assert program.wait(LIMIT_S) == 0
        finally:
            program.kill()


def read_until(terminal: int, pattern: bytes) -> None:
    shown = b""
    while not re.search(pattern, shown):
        ready, _, _ = select.select([terminal], [], [], LIMIT_S)
        assert ready, f"only {shown!r}"
        shown += os.read(terminal, 1000)
