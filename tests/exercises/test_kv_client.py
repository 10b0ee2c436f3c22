import select

import pytest

from tests.exercises.running import accept, nobody, read_all, run, running, serving, tcp_peer
from tests.limits import LIMIT_S


def test_a_session_with_the_store() -> None:
    session = [
        (b"get a", "NOTFOUND"),
        (b"put a some words", "OK"),
        (b"get a", "VALUE 10 some words"),
        (b"put bytes \xff\x1b[2J", "OK"),
        (b"get bytes", "VALUE 5 \\xff\\x1b[2J"),
        (b"count", "COUNT 2"),
        (b"del a", "OK"),
        (b"get ", "ERR bad key"),
        (b"get " + b"k" * 65, "ERR bad key"),
        (b"put x", "commands: put KEY VALUE, get KEY, del KEY, count, quit, fire K"),
        (b"fire 0", "commands: put KEY VALUE, get KEY, del KEY, count, quit, fire K"),
        (b"", "commands: put KEY VALUE, get KEY, del KEY, count, quit, fire K"),
    ]
    with serving("kv-iterative/kv_store") as (_, (address, port)):
        done = run(
            "kv-iterative/kv_client",
            address,
            str(port),
            stdin=b"\n".join([*(command for command, _ in session), b"quit", b""]),
        )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().splitlines() == [answer for _, answer in session]


def test_what_it_sends() -> None:
    with tcp_peer() as (listener, address), running("kv-iterative/kv_client", *address) as client:
        with accept(listener) as connection:
            client.write(b"put k a b\n")
            assert connection.recv(100) == b"PUT k 3\na b\n"
            connection.sendall(b"OK\n")
            assert client.line() == "OK"
            client.end_input()
            assert read_all(connection) == b"QUIT\n"
        assert client.end() == (0, "")


def test_fire_sends_requests_and_leaves() -> None:
    with tcp_peer() as (listener, address), running("kv-iterative/kv_client", *address) as client:
        assert client.ask(b"fire 3") == "FIRED 3"
        assert client.end() == (0, "")
        with accept(listener) as connection:
            assert read_all(connection) == b"GET fire\n" * 3
            # Nobody is there any more: the first answer brings RST, the second one fails.
            connection.sendall(b"NOTFOUND\n")
            reset = select.poll()
            reset.register(connection, select.POLLERR)
            assert reset.poll(LIMIT_S * 1000)
            with pytest.raises(BrokenPipeError):
                connection.sendall(b"NOTFOUND\n")


def test_the_store_survives_fire() -> None:
    with serving("kv-iterative/kv_store") as (server, (address, port)):
        for count in (b"2", b"1000", b"10000"):
            done = run("kv-iterative/kv_client", address, str(port), stdin=b"fire " + count)
            assert done.stdout == b"FIRED " + count + b"\n"
            while not server.line().startswith("closed"):
                pass
        done = run("kv-iterative/kv_client", address, str(port), stdin=b"count\n")
        assert done.stdout == b"COUNT 0\n"


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (b"", "error: recv: the server closed the connection\n"),
        (b"OK", "error: recv: end in the middle of a line\n"),
        (b"x" * 5000, "error: recv: line too long\n"),
        (b"VALUE 4097\n", "error: recv: VALUE without a proper length\n"),
        (b"VALUE 3\nab", "error: recv: end in the middle of a value\n"),
        (b"VALUE 1\nab\n", "error: recv: value longer than announced\n"),
    ],
)
def test_a_server_that_breaks_the_protocol_is_reported(reply: bytes, message: str) -> None:
    with tcp_peer() as (listener, address), running("kv-iterative/kv_client", *address) as client:
        with accept(listener) as connection:
            client.write(b"get k\n")
            assert connection.recv(100) == b"GET k\n"
            connection.sendall(reply)
        assert client.end() == (1, message)


def test_a_server_that_is_gone_is_reported() -> None:
    with tcp_peer() as (listener, address), running("kv-iterative/kv_client", *address) as client:
        accept(listener).close()
        client.write(b"count\n")
        assert client.end()[0] == 1
    with nobody("TCP") as address:
        done = run("kv-iterative/kv_client", *address)
    assert done.stderr == b"error: connect: ECONNREFUSED (Connection refused)\n"
