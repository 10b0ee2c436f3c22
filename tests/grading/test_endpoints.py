import select
import socket
from collections.abc import Iterator

import pytest

from labctl.grading.endpoints import Listener, Tcp, Udp, connect_error
from labctl.grading.unmet import Unmet
from labctl.wait import until
from tests.limits import LIMIT_S

SOON_S = 0.05
"""For what must not come: nothing was sent, so no longer wait would tell more."""


@pytest.fixture
def udp() -> Iterator[tuple[Udp, Udp]]:
    left, right = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with left, right:
        right.bind(("127.0.0.1", 0))
        left.connect(right.getsockname())
        yield Udp(left), Udp(right)


@pytest.fixture
def tcp() -> Iterator[tuple[Tcp, Tcp]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server = Listener(listener).accept()
        with client, server.socket:
            yield Tcp(client), server


def test_datagrams_are_received_one_by_one_with_their_sender(udp: tuple[Udp, Udp]) -> None:
    client, server = udp
    client.send(b"one")
    client.send(b"")

    assert server.receive_from() == (b"one", client.address)
    assert server.receive() == b""
    server.send(b"back", to=client.address)
    assert client.receive() == b"back"


def test_what_has_arrived_can_be_had_without_waiting(udp: tuple[Udp, Udp]) -> None:
    client, server = udp
    for datagram in (b"1", b"2"):
        client.send(datagram)

    assert server.waiting() == [b"1", b"2"]
    assert server.waiting() == []


def test_a_datagram_that_does_not_come_is_the_programs_fault(udp: tuple[Udp, Udp]) -> None:
    with pytest.raises(Unmet) as raised:
        udp[1].receive(expected="an answer", hint="send one", within_s=SOON_S)

    assert raised.value.expected == f"an answer within {SOON_S} s"
    assert (raised.value.actual, raised.value.hint) == ("nothing arrived", "send one")


def test_a_closed_port_is_told_as_such(udp: tuple[Udp, Udp]) -> None:
    client, server = udp
    server.close()
    client.send(b"anybody?")

    with pytest.raises(Unmet, match="ICMP port unreachable"):
        client.receive()
    client.send(b"anybody?")
    assert client.error() == "ECONNREFUSED"


def test_a_stream_is_read_by_lines_and_by_counts(tcp: tuple[Tcp, Tcp]) -> None:
    client, server = tcp
    client.send(b"VALUE 3\nabc\nrest")

    assert server.line() == b"VALUE 3"
    assert server.receive_exactly(4) == b"abc\n"
    client.finish()
    assert server.everything() == b"rest"


def test_bytes_that_were_read_too_far_come_first_the_next_time(tcp: tuple[Tcp, Tcp]) -> None:
    client, server = tcp
    client.send(b"a\nbc")

    assert server.line() == b"a"
    assert server.unread == 2
    assert server.receive() == b"bc"


def test_an_end_is_told_from_bytes_and_from_a_reset(tcp: tuple[Tcp, Tcp]) -> None:
    client, server = tcp
    client.send(b"x")
    with pytest.raises(Unmet, match="1 bytes came"):
        server.expect_end()
    client.finish()
    server.expect_end()


def test_a_reset_is_the_programs_fault_in_words(tcp: tuple[Tcp, Tcp]) -> None:
    client, server = tcp
    client.reset()

    with pytest.raises(Unmet, match="reset"):
        server.receive()


def test_an_error_can_be_asked_for_by_name(tcp: tuple[Tcp, Tcp]) -> None:
    client, server = tcp
    client.reset()

    assert server.error() == "ECONNRESET"


def test_a_line_that_stays_unfinished_shows_what_came(tcp: tuple[Tcp, Tcp]) -> None:
    client, server = tcp
    client.send(b"half")
    with pytest.raises(Unmet, match="nothing arrived after b'half'"):
        server.line(within_s=SOON_S)


def test_a_stream_that_ends_too_early_shows_what_came(tcp: tuple[Tcp, Tcp]) -> None:
    client, server = tcp
    client.send(b"ab")
    client.finish()
    with pytest.raises(Unmet, match=r"closed \(FIN\) after b'ab'"):
        server.receive_exactly(3)


def test_queues_are_the_kernels(tcp: tuple[Tcp, Tcp]) -> None:
    client, server = tcp
    client.send(b"12345")
    server.socket.recv(1, socket.MSG_PEEK)

    assert server.unread == 5
    assert until(lambda: client.unacknowledged == 0, LIMIT_S)


def test_a_connection_that_is_refused_has_its_errno() -> None:
    with socket.socket() as deaf, socket.socket() as client:
        deaf.bind(("127.0.0.1", 0))  # nobody else can listen there
        assert connect_error(client, deaf.getsockname(), 1) == "ECONNREFUSED"


def test_a_connection_that_does_not_come_is_the_programs_fault() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(Unmet, match="no connection came"),
    ):
        Listener(listener).accept(within_s=SOON_S)


def test_what_is_here_counts_although_the_time_is_over(tcp: tuple[Tcp, Tcp]) -> None:
    client, server = tcp
    client.send(b"a line\nand " + b"more" * 10_000)
    client.finish()
    hung_up = select.poll()
    hung_up.register(server.socket, select.POLLRDHUP)
    assert hung_up.poll(LIMIT_S * 1000)

    assert server.line(within_s=0) == b"a line"
    assert server.receive_exactly(8, within_s=0) == b"and more"
    assert server.everything(within_s=0) == b"more" * 9_999


def test_a_stream_without_end_runs_into_the_deadline() -> None:
    class Endless(socket.socket):
        def recv(self, *_: object) -> bytes:
            return b"x" * 65536

    with Endless() as sock:
        with pytest.raises(Unmet, match=r"\d{5} bytes and no end"):
            Tcp(sock).everything(within_s=SOON_S)
        with pytest.raises(Unmet, match="it goes on after b'xxx"):
            Tcp(sock).line(within_s=SOON_S)


def test_ending_a_connection_that_was_reset_is_the_programs_fault(tcp: tuple[Tcp, Tcp]) -> None:
    client, server = tcp
    client.reset()
    assert server.error() == "ECONNRESET"

    with pytest.raises(Unmet, match="the connection is still there"):
        server.finish()


def test_the_kernels_timeout_is_an_error_and_the_sockets_own_is_none(tcp: tuple[Tcp, Tcp]) -> None:
    client, _ = tcp
    assert client.error(within_s=SOON_S) == ""

    class Dead(socket.socket):
        def recv(self, *_: object) -> bytes:
            raise TimeoutError(110, "Connection timed out")

    with Dead() as sock:
        assert Tcp(sock).error() == "ETIMEDOUT"
        with pytest.raises(Unmet, match="acknowledges nothing"):
            Tcp(sock).receive()
