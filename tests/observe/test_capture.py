import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.errors import LabError
from labctl.kernel.control import RequestRefused
from labctl.observe.capture import Capture, Sighting
from labctl.packets.parse import parse_frame
from labctl.wait import until
from tests.limits import LIMIT_S
from tests.wired_lab import A4, B4, WiredLab, wired_lab

pytestmark = pytest.mark.kernel


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[WiredLab]:
    with wired_lab(tmp_path, "none") as lab:
        yield lab


@pytest.fixture
def capture(lab: WiredLab) -> Iterator[Capture]:
    with Capture(lab.lab, lab.lab.state.nodes()) as capture:
        yield capture


def open_fds() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def send(sender: socket.socket, receiver: socket.socket, payload: bytes) -> None:
    """Return when the datagram has arrived: the kernel may pass it on after the call that sends it."""
    sender.send(payload)
    assert receiver.recv(len(payload)) == payload


def of_programs(sightings: list[Sighting]) -> list[Sighting]:
    return [each for each in sightings if parse_frame(each.frame).payload]


def test_a_packet_is_seen_where_it_leaves_and_where_it_arrives(
    lab: WiredLab, capture: Capture
) -> None:
    sender, receiver = lab.udp(A4, B4)
    send(sender, receiver, b"hello")

    sent, arrived = of_programs(capture.sightings())
    assert (sent.place, sent.is_outgoing) == ("a:eth0", True)
    assert (arrived.place, arrived.is_outgoing) == ("b:eth0", False)
    assert parse_frame(arrived.frame).payload == b"hello"
    assert sent.time_ns < arrived.time_ns


def test_all_up_to_the_call_is_there_and_in_the_order_of_time(
    lab: WiredLab, capture: Capture
) -> None:
    sender, receiver = lab.udp(A4, B4)
    for number in range(50):
        send(sender, receiver, bytes([number]))
        seen = of_programs(capture.sightings())
        assert [parse_frame(each.frame).payload[0] for each in seen if not each.is_outgoing] == (
            list(range(number + 1))
        )
    times = [each.time_ns for each in capture.sightings()]
    assert times == sorted(times)


def test_who_never_stops_sending_is_not_waited_for(lab: WiredLab, capture: Capture) -> None:
    sender, _ = lab.udp(A4, B4)
    is_over = threading.Event()

    def flood() -> None:
        while not is_over.is_set():
            sender.send(b"x")

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        assert until(lambda: len(capture.sightings()) > 20_000, LIMIT_S)
    finally:
        is_over.set()
        thread.join()


def test_every_interface_of_every_node_is_heard(lab: WiredLab, capture: Capture) -> None:
    receiver = lab.receiver("c", ("10.0.1.2", 7), socket.SOCK_DGRAM)
    sender = lab.open("b", socket.AF_INET, socket.SOCK_DGRAM)
    sender.sendto(b"x", receiver.getsockname())
    receiver.recv(100)

    assert [each.place for each in of_programs(capture.sightings())] == ["b:eth1", "c:eth0"]


def test_what_a_node_sends_to_itself_is_there_once(lab: WiredLab, capture: Capture) -> None:
    receiver = lab.receiver("a", ("127.0.0.1", 7), socket.SOCK_DGRAM)
    lab.open("a", socket.AF_INET, socket.SOCK_DGRAM).sendto(b"me", receiver.getsockname())
    receiver.recv(100)

    [seen] = of_programs(capture.sightings())
    assert (seen.place, seen.is_outgoing) == ("a:lo", False)


def test_a_filter_chooses_frames(lab: WiredLab, capture: Capture) -> None:
    sender, receiver = lab.udp(A4, B4)
    send(sender, receiver, b"x")

    port = receiver.getsockname()[1]
    assert capture.matching(f"udp dst port {port}") == of_programs(capture.sightings())
    assert capture.matching("tcp") == []
    with pytest.raises(LabError, match="cannot be understood"):
        capture.matching("udp port")


def stream_of(sightings: list[Sighting]) -> bytes:
    """Return what one end of a TCP connection sent; a slow machine makes it send some of it twice."""
    packets = [parse_frame(each.frame) for each in sightings]
    [begin] = {each.tcp.seq + 1 for each in packets if each.tcp and "SYN" in each.tcp.flags}
    stream = bytearray()
    for each in packets:
        if each.tcp and each.payload:
            at = (each.tcp.seq - begin) % (1 << 32)
            stream[len(stream) :] = bytes(max(0, at + len(each.payload) - len(stream)))
            stream[at : at + len(each.payload)] = each.payload
    return bytes(stream)


def test_a_stream_is_captured_whole(lab: WiredLab, capture: Capture) -> None:
    listener = lab.receiver("b", (B4, 7000), socket.SOCK_STREAM)
    listener.listen()
    client = lab.open("a", socket.AF_INET, socket.SOCK_STREAM)
    client.connect((B4, 7000))
    stream = os.urandom(2 << 20)  # the ring holds that, whoever reads it or does not
    thread = threading.Thread(target=client.sendall, args=(stream,))
    thread.start()
    server, _ = listener.accept()
    with server:
        server.settimeout(LIMIT_S)
        got = 0
        while got < len(stream):
            got += len(server.recv(1 << 20))
    thread.join()

    seen = [each for each in capture.matching("tcp dst port 7000") if each.is_outgoing]
    is_whole = stream_of(seen) == stream
    assert is_whole
    assert max(len(each.frame) for each in seen) > 9000  # super-frames, not cut
    assert capture.missed() == 0


def test_what_does_not_fit_is_counted_and_the_beginning_stays(lab: WiredLab) -> None:
    sender, receiver = lab.udp(A4, B4)
    send(sender, receiver, b"so that the address is known")
    with (
        Capture(lab.lab, lab.lab.state.nodes()) as roomy,
        Capture(lab.lab, lab.lab.state.nodes(), most_bytes=20_000) as capture,
    ):
        for number in range(100):
            send(sender, receiver, bytes([number]) * 1000)
        seen = of_programs(capture.sightings())
        missed = capture.missed()
        everything = roomy.sightings()
    # What nodes say by themselves while they have a link (IPv6 groups) may have found no room, too.
    by_themselves = len(everything) - len(of_programs(everything))
    assert 100 < 200 - len(seen) <= missed <= 200 - len(seen) + by_themselves
    assert {parse_frame(each.frame).payload[0] for each in seen} == set(range(len(seen) + 1 >> 1))


def test_what_was_captured_is_kept_and_nothing_else(lab: WiredLab) -> None:
    sender, receiver = lab.udp(A4, B4)
    before = open_fds()
    with Capture(lab.lab, lab.lab.state.nodes()) as capture:
        send(sender, receiver, b"1")
        assert open_fds() > before
    sender.send(b"2")
    capture.close()

    assert open_fds() == before
    assert [parse_frame(each.frame).payload for each in of_programs(capture.sightings())] == [
        b"1",
        b"1",
    ]
    assert capture.missed() == 0


def test_a_node_that_is_not_there_leaves_nothing_open(lab: WiredLab) -> None:
    before = open_fds()
    with pytest.raises(RequestRefused):
        Capture(lab.lab, {**lab.lab.state.nodes(), "x": "no-such-namespace"})

    assert open_fds() == before


def test_a_lab_that_ends_meanwhile_leaves_what_was_captured(lab: WiredLab) -> None:
    sender, receiver = lab.udp(A4, B4)
    with Capture(lab.lab, lab.lab.state.nodes()) as capture:
        send(sender, receiver, b"1")
        os.kill(lab.lab.holder.pid, 9)
        assert until(lambda: not lab.lab.is_alive(), LIMIT_S)
        assert len(of_programs(capture.sightings())) == 2
