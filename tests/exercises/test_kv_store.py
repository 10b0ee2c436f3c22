import os
import signal
import socket
from collections.abc import Iterator

import pytest

from tests.exercises.running import Running, connect, read_all, run, running, serving
from tests.limits import LIMIT_S

Address = tuple[str, int]
Server = tuple[Running, Address]


STORES = [f"{name}/kv_store" for name in ("kv-iterative", "kv-fire", "kv-concurrent", "kv-event")]
"""All speak KV/1; how many clients they serve at once is another matter."""


@pytest.fixture(params=STORES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(name: str) -> Iterator[Server]:
    with serving(name) as started:
        yield started


@pytest.fixture(scope="module", params=STORES)
def empty_store(request: pytest.FixtureRequest) -> Iterator[Address]:
    """A server for requests that store nothing; each finds it as the one before left it."""
    with serving(request.param) as (_, address):
        yield address


@pytest.fixture
def iterative() -> Iterator[Server]:
    with serving("kv-iterative/kv_store") as started:
        yield started


@pytest.fixture
def client(server: Server) -> Iterator[socket.socket]:
    with connect(server[1]) as connection:
        yield connection


def talk(address: Address, request: bytes) -> bytes:
    """Send all of it, close the sending side, and return all of the answer."""
    with connect(address) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return read_all(connection)


def expect(connection: socket.socket, answer: bytes) -> None:
    received = b""
    while len(received) < len(answer):
        chunk = connection.recv(len(answer) - len(received))
        assert chunk, f"the connection ended after {received!r}"
        received += chunk
    assert received == answer


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (b"PUT k 5\nhello\nGET k\n", b"OK\nVALUE 5\nhello\n"),
        (b"PUT k 1\na\nPUT k 1\nb\nGET k\nCOUNT\n", b"OK\nOK\nVALUE 1\nb\nCOUNT 1\n"),
        (b"GET k\nDEL k\nCOUNT\n", b"NOTFOUND\nNOTFOUND\nCOUNT 0\n"),
        (b"PUT k 1\na\nDEL k\nGET k\n", b"OK\nOK\nNOTFOUND\n"),
        (b"PUT k 0\n\nGET k\n", b"OK\nVALUE 0\n\n"),
        (b"PUT k 6\nGET k\n\nGET k\n", b"OK\nVALUE 6\nGET k\n\n"),
        (b"PUT k 3\n\0\xff\n\nGET k\n", b"OK\nVALUE 3\n\0\xff\n\n"),
        (b"COUNT\nQUIT\nCOUNT\n", b"COUNT 0\n"),
        (b"", b""),
    ],
)
def test_requests_and_their_answers(server: Server, request_: bytes, answer: bytes) -> None:
    assert talk(server[1], request_) == answer


def test_keys_and_values_of_the_largest_size(server: Server) -> None:
    key, value = b"!" * 32 + b"~" * 32, os.urandom(4096)
    request = b"PUT %b 4096\n%b\nGET %b\n" % (key, value, key)
    assert talk(server[1], request) == b"OK\nVALUE 4096\n%b\n" % value


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"HELLO",
        b"get k",
        b"GET",
        b"GET ",
        b"GET a b",
        b"GET  k",
        b"GET k\r",
        b"GET " + b"k" * 65,
        b"DEL \xc5\xbc",
        b"COUNT all",
        b"PUT " + b"k" * 65 + b" 5\nCOUNT",
        b"x" * 1000,
    ],
    ids=lambda bad: repr(bad[:24]),
)
def test_after_a_bad_request_the_conversation_goes_on(empty_store: Address, bad: bytes) -> None:
    answer = talk(empty_store, bad + b"\nCOUNT\n")
    error, _, rest = answer.partition(b"\n")
    assert error.startswith(b"ERR ")
    assert rest == b"COUNT 0\n"


@pytest.mark.parametrize(
    "bad",
    [
        b"x" * 5000 + b"\n",
        b"x" * 200_000,
        b"PUT k\n",
        b"PUT k -1\n",
        b"PUT k 4097\n",
        b"PUT k 99999999999999999999\n",
        b"PUT a b 1\n",
        b"PUT k 2\nabc\n",
    ],
    ids=lambda bad: repr(bad[:24]),
)
def test_a_request_without_an_end_is_answered_with_an_error_and_the_end(
    empty_store: Address, bad: bytes
) -> None:
    answer = talk(empty_store, bad + b"COUNT\n" * bad.endswith(b"\n"))
    assert answer.startswith(b"ERR ")
    assert answer.count(b"\n") == 1
    assert talk(empty_store, b"COUNT\n") == b"COUNT 0\n"


@pytest.mark.parametrize("bad", [b"PUT k 5\nabc", b"GET unfinished"])
def test_after_half_a_request_comes_an_end(empty_store: Address, bad: bytes) -> None:
    answer = talk(empty_store, bad)
    assert answer == b"" or answer.startswith(b"ERR end in the middle of a ")
    assert talk(empty_store, b"COUNT\n") == b"COUNT 0\n"


def test_a_request_may_come_byte_by_byte(client: socket.socket) -> None:
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in b"PUT key 3\nabc\nGET key\n":
        client.sendall(bytes([byte]))
    expect(client, b"OK\nVALUE 3\nabc\n")


def test_a_request_may_be_cut_anywhere(server: Server) -> None:
    request = b"PUT key 3\na\nc\nGET key\n"
    for cut in range(1, len(request)):
        with connect(server[1]) as connection:
            connection.sendall(request[:cut])
            # The server has read the first part before the second is sent.
            if request[:cut].endswith(b"c\n"):
                expect(connection, b"OK\n")
                connection.sendall(request[cut:])
                expect(connection, b"VALUE 3\na\nc\n")
            else:
                connection.sendall(request[cut:])
                expect(connection, b"OK\nVALUE 3\na\nc\n")


def test_the_second_client_is_served_after_the_first(iterative: Server) -> None:
    with connect(iterative[1]) as first, connect(iterative[1]) as second:
        first.sendall(b"PUT k 1\nx\n")
        expect(first, b"OK\n")
        second.sendall(b"GET k\n")
        first.sendall(b"COUNT\n")
        expect(first, b"COUNT 1\n")
        second.setblocking(False)
        with pytest.raises(BlockingIOError):
            second.recv(1)
        second.settimeout(LIMIT_S)
        first.close()
        expect(second, b"VALUE 1\nx\n")


@pytest.mark.parametrize("name", ["kv-concurrent/kv_store", "kv-event/kv_store"])
def test_the_second_client_is_served_beside_the_first(server: Server) -> None:
    with connect(server[1]) as first, connect(server[1]) as second:
        first.sendall(b"PUT k 1\nx\nPUT k 4\nha")
        expect(first, b"OK\n")
        second.sendall(b"GET k\n")
        expect(second, b"VALUE 1\nx\n")
        first.sendall(b"lf\n")
        expect(first, b"OK\n")
        second.sendall(b"GET k\n")
        expect(second, b"VALUE 4\nhalf\n")


def fire(server: Server, count: int) -> None:
    """Send requests and leave; the server finds all of it, and the FIN, when it goes on."""
    program, address = server
    program.stop()
    with connect(address) as rude:
        rude.sendall(b"GET k\n" * count)
    program.signal(signal.SIGCONT)


@pytest.mark.parametrize("count", [1, 2, 3, 1000])
def test_it_survives_a_client_that_does_not_wait_for_its_answers(
    server: Server, count: int
) -> None:
    program, address = server
    fire(server, count)
    assert talk(address, b"COUNT\n") == b"COUNT 0\n"
    assert program.process.poll() is None


def test_the_log_says_why_a_client_was_not_answered(iterative: Server) -> None:
    fire(iterative, 3)
    line = ""
    while not line.startswith("closed"):
        line = iterative[0].line()
    assert line.endswith(": EPIPE (Broken pipe)")


def test_it_survives_a_reset(server: Server) -> None:
    program, address = server
    with connect(address) as rude:
        rude.sendall(b"COUNT\n")
        # The answer is here, unread: closing sends RST.
        rude.recv(1, socket.MSG_PEEK)
    line = ""
    while not line.startswith("closed"):
        line = program.line()
    assert line.endswith(": ECONNRESET (Connection reset by peer)")
    assert talk(address, b"COUNT\n") == b"COUNT 0\n"


def test_the_log_shows_what_was_asked_and_nothing_that_moves_the_cursor(iterative: Server) -> None:
    program, address = iterative
    talk(address, b"GET k\n\x1b[2J\nQUIT\n")
    assert program.line().startswith("accepted 127.0.0.1:")
    assert program.line() == "GET k -> NOTFOUND"
    assert program.line() == "\\x1b[2J -> ERR"
    assert program.line().endswith(": QUIT")


def test_it_can_be_restarted_at_once(name: str, server: Server) -> None:
    program, address = server
    with connect(address) as client:
        client.sendall(b"COUNT\n")
        expect(client, b"COUNT 0\n")
        program.signal(signal.SIGINT)
        assert program.end() == (130, "")
        with running(name, address[0], str(address[1])) as again:
            assert again.line() == "READY"


def test_a_second_live_one_is_refused(name: str, server: Server) -> None:
    _, address = server
    assert run(name, address[0], str(address[1])).returncode == 1
    assert talk(address, b"COUNT\n") == b"COUNT 0\n"
