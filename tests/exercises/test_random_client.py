import pytest

from tests.exercises.running import accept, run, running, serving, tcp_peer
from tests.exercises.test_random_server import request, stream

CLIENT = "flow-control/random_client"


def test_it_fetches_from_the_server() -> None:
    with serving("flow-control/random_server") as (_, (address, port)):
        done = run(CLIENT, address, str(port), "-s", "5", "-n", "200000")
    assert (done.returncode, done.stderr) == (0, b"received 200000 bytes\n")
    assert done.stdout == stream(5, 200_000)


def test_what_it_asks_for_unless_it_is_told() -> None:
    with tcp_peer() as (listener, address), running(CLIENT, *address) as client:
        with accept(listener) as connection:
            assert connection.recv(100) == request(1, 1_048_576)
        assert client.end()[0] == 1


def test_a_stream_that_ends_early_is_reported() -> None:
    with tcp_peer() as (listener, address), running(CLIENT, *address, "-n", "10") as client:
        with accept(listener) as connection:
            assert connection.recv(100) == request(1, 10)
            connection.sendall(b"123456789")
        assert client.end() == (1, "error: recv: the stream has ended after 9 bytes\n")
        assert client.process.stdout is not None
        assert client.process.stdout.read() == b"123456789"


def test_step_by_step_it_takes_what_each_line_says() -> None:
    with (
        serving("flow-control/random_server") as (_, (address, port)),
        running(CLIENT, address, str(port), "-n", "10", "-i") as client,
    ):
        assert client.process.stdout is not None
        client.write(b"3\n")
        assert client.process.stdout.read(3) == stream(1, 3)
        client.write(b"0\n4\n")
        assert client.process.stdout.read(4) == stream(1, 7)[3:]
        # More than is left is all that is left.
        client.write(b"99\n")
        assert client.process.stdout.read(4) == stream(1, 10)[7:]
        assert client.end() == (0, "received 10 bytes\n")


def test_the_end_of_the_input_ends_it() -> None:
    with serving("flow-control/random_server") as (_, (address, port)):
        done = run(CLIENT, address, str(port), "-i", stdin=b"3\n")
    assert (done.returncode, done.stdout) == (0, stream(1, 3))
    assert done.stderr == b"received 3 bytes\n"


def test_a_step_that_is_no_number_is_refused() -> None:
    with serving("flow-control/random_server") as (_, (address, port)):
        done = run(CLIENT, address, str(port), "-i", stdin=b"three\n")
    assert done.returncode == 1
    assert done.stderr == b'error: input: "three" is not a number from 0 to 999999999999\n'


@pytest.mark.parametrize(
    ("option", "text", "largest"),
    [("-s", "2147483648", 2147483647), ("-n", "many", 999999999999), ("-b", "-1", 1073741824)],
)
def test_numbers_are_checked(option: str, text: str, largest: int) -> None:
    done = run(CLIENT, "127.0.0.1", "1", option, text)
    assert done.returncode == 1
    message = f'error: {option}: "{text}" is not a number from 0 to {largest}\n'
    assert done.stderr.decode() == message


def test_a_closed_input_is_reported() -> None:
    done = run(CLIENT, "127.0.0.1", "9", "-i", prefix=("sh", "-c", 'exec "$0" "$@" <&-'))
    assert done.returncode == 1
    assert done.stderr == b"error: read: EBADF (Bad file descriptor)\n"
