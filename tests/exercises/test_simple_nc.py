import random
import socket
import struct
import subprocess
from contextlib import suppress

import pytest

from tests.exercises.running import (
    Running,
    accept,
    nobody,
    read_all,
    run,
    running,
    tcp_peer,
)


@pytest.mark.parametrize("size", [0, 1, 65536, 3 * 1024 * 1024 + 1])
def test_every_byte_arrives_and_then_fin(size: int) -> None:
    sent = random.Random(size).randbytes(size)
    with tcp_peer() as (listener, address), running("simple-nc/simple_nc", *address) as client:
        with accept(listener) as connection:
            received = bytearray()
            # A piece at a time, so that neither side ever waits for the other.
            for start in range(0, size, 32768):
                piece = sent[start : start + 32768]
                client.write(piece)
                while len(received) < start + len(piece):
                    received += connection.recv(65536)
            client.end_input()
            received += read_all(connection)
        assert bytes(received) == sent
        assert client.end() == (0, "")


def test_a_slow_reader_gets_everything() -> None:
    sent = random.Random(1).randbytes(1024 * 1024)
    with tcp_peer() as (listener, address):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with running("simple-nc/simple_nc", *address) as client, accept(listener) as connection:
            # What fits into the pipe; the rest while the peer reads.
            received = bytearray()
            view = memoryview(sent)
            while view:
                client.write(bytes(view[:4096]))
                view = view[4096:]
                received += connection.recv(4096)
            client.end_input()
            received += read_all(connection)
            connection.close()
            assert bytes(received) == sent
            assert client.end() == (0, "")


def test_it_sends_what_it_has_without_waiting_for_more() -> None:
    with (
        tcp_peer() as (listener, address),
        running("simple-nc/simple_nc", *address) as client,
        accept(listener) as connection,
    ):
        client.write(b"no end of line")
        assert connection.recv(100) == b"no end of line"


def test_what_the_server_says_is_read_before_the_end() -> None:
    with tcp_peer() as (listener, address), running("simple-nc/simple_nc", *address) as client:
        with accept(listener) as connection:
            connection.sendall(b"welcome")
            client.write(b"x" * 100)
            client.end_input()
            # With RST in place of FIN this would fail.
            assert read_all(connection) == b"x" * 100
        assert client.end() == (0, "")


def test_a_write_to_a_server_that_is_gone_is_reported() -> None:
    with tcp_peer() as (listener, address), running("simple-nc/simple_nc", *address) as client:
        connection = accept(listener)
        client.write(b"a")
        assert connection.recv(1) == b"a"
        connection.close()
        # The first write fills a buffer and brings back RST, the next one is told.
        code, message = write_until_it_ends(client)
        assert code == 1
        assert message == "error: send: EPIPE (Broken pipe)\n"


def test_a_server_that_left_with_bytes_unread_is_reported() -> None:
    with tcp_peer() as (listener, address), running("simple-nc/simple_nc", *address) as client:
        connection = accept(listener)
        client.write(b"a" * 100)
        assert connection.recv(1) == b"a"
        connection.close()
        code, message = write_until_it_ends(client)
        assert code == 1
        assert message == "error: send: ECONNRESET (Connection reset by peer)\n"


def test_a_reset_after_the_end_of_the_input_is_reported() -> None:
    with tcp_peer() as (listener, address), running("simple-nc/simple_nc", *address) as client:
        connection = accept(listener)
        client.end_input()
        assert connection.recv(1) == b""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        assert client.end() == (1, "error: recv: ECONNRESET (Connection reset by peer)\n")


def test_nobody_listening_is_reported() -> None:
    with nobody("TCP") as address:
        done = run("simple-nc/simple_nc", *address)
    assert done.returncode == 1
    assert done.stderr == b"error: connect: ECONNREFUSED (Connection refused)\n"


def test_together_with_the_byte_sink() -> None:
    with running("byte-sink/byte_sink", "127.0.0.1", "0") as sink:
        port = sink.ask(b"b").rpartition(":")[2]
        assert sink.ask(b"l 1") == "LISTENING 1"
        with running("simple-nc/simple_nc", "127.0.0.1", port) as client:
            assert sink.ask(b"a").startswith("ACCEPTED ")
            client.write(b"hello\n")
            assert sink.ask(b"r 100") == "RECEIVED 6"
            client.end_input()
            assert sink.ask(b"r 100") == "EOF"
            assert sink.ask(b"c") == "CLOSED"
            assert client.end() == (0, "")


def write_until_it_ends(client: Running) -> tuple[int, str]:
    """Type a letter at a time until the program has had enough."""
    for _ in range(100):
        with suppress(BrokenPipeError):
            client.write(b"b")
        # So that the program reads, and sends, each letter by itself.
        with suppress(subprocess.TimeoutExpired):
            client.process.wait(0.05)
            break
    return client.end()
