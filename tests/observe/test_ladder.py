"""Pictures of what was on the wire: first of packets made up, then of real ones in a real lab."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from labctl.faults import Faults, faults
from labctl.kernel.control import Control
from labctl.lab import running_lab
from labctl.observe.capture import Capture
from labctl.observe.ladder import ladder
from labctl.topology.cache import load_topology
from labctl.wait import until
from labctl.wire.fates import FateEntry
from tests.limits import LIMIT_S
from tests.observe.scenes import Fate, Scene, arp, ethernet, handshake, tcp, udp
from tests.owners import unique_name
from tests.wired_lab import A4, A6, B4, B6, WiredLab, wired_lab

CHECKOUT = Path(__file__).parent.parent.parent
DIRECTION = "client:eth0->server:eth0"
SUMMARY = "10.0.1.2:4000 > 10.0.2.2:8080 UDP 3 bytes"


def picture(scene: Scene, *fates: Fate, missed: int = 0) -> str:
    return "\n" + ladder(scene.sightings, ["client", "router", "server"], fates, missed=missed)


def three(second: tuple[float, ...]) -> Scene:
    """Send three datagrams, of which the second one arrives at these times."""
    scene = Scene()
    for at_ms, payload, arrives in ((0, b"one", (1,)), (10, b"two", second), (20, b"six", (21,))):
        scene.send(at_ms, "client", "server", udp("client", "server", payload), arrives=arrives)
    return scene


def test_a_tcp_connection_from_its_beginning_to_its_end() -> None:
    scene = Scene()
    handshake(scene)
    back = (80, 4000)
    answer = bytes.fromhex("544d0102") + bytes(20)
    for at_ms, source, target, packet in (
        (3, "client", "server", tcp("client", "server", "PA", b"hi", seq=1001, ack=5001)),
        (4, "server", "client", tcp("server", "client", "A", seq=5001, ack=1003, ports=back)),
        (
            5,
            "server",
            "client",
            tcp("server", "client", "A", answer, seq=5001, ack=1003, ports=back),
        ),
        (6, "client", "server", tcp("client", "server", "A", seq=1003, ack=5025)),
        (7, "client", "server", tcp("client", "server", "FA", seq=1003, ack=5025)),
        (8, "server", "client", tcp("server", "client", "FA", seq=5025, ack=1004, ports=back)),
        (9, "client", "server", tcp("client", "server", "A", seq=1004, ack=5026)),
    ):
        scene.send(at_ms, source, target, packet)

    assert (
        picture(scene)
        == """
   client                     server
      │── SYN ──────────────────▶│   0.000
      │◀───────────── SYN, ACK ──│   0.001
      │── ACK 1 ────────────────▶│   0.002
      │── 2 bytes "hi" ─────────▶│   0.003
      │◀──────────────── ACK 3 ──│   0.004
      │◀─── 24 bytes 544d0102… ──│   0.005
      │── ACK 25 ───────────────▶│   0.006
      │── FIN, ACK ─────────────▶│   0.007
      │◀───────────── FIN, ACK ──│   0.008
      │── ACK 26 ───────────────▶│   0.009
"""
    )


def test_what_goes_wrong_in_a_tcp_connection() -> None:
    scene = Scene()
    handshake(scene)
    segment = tcp("client", "server", "PA", b"hi", seq=1001, ack=5001)
    scene.send(3, "client", "server", segment, arrives=())
    scene.send(203, "client", "server", segment)
    full = tcp("server", "client", "A", seq=5001, ack=1003, window=0, ports=(80, 4000))
    scene.send(204, "server", "client", full)
    scene.send(404, "client", "server", tcp("client", "server", "A", seq=1002, ack=5001))
    scene.send(405, "server", "client", tcp("server", "client", "R", seq=5001, ports=(80, 4000)))

    assert (
        picture(scene)
        == """
   client                    server
      │── SYN ─────────────────▶│   0.000
      │◀──────────── SYN, ACK ──│   0.001
      │── ACK 1 ───────────────▶│   0.002
      │── 2 bytes "hi" ─────✗   │   0.003  lost
      │── 2 bytes "hi" ────────▶│   0.203  retransmission
      │◀───── ACK 3, window 0 ──│   0.204
      │── ACK 1 ───────────────▶│   0.404  window probe
      │◀───────────────── RST ──│   0.405
"""
    )


def test_a_question_without_an_answer() -> None:
    scene = Scene()
    scene.send(0, "client", "server", udp("client", "server", b"time?\n"))

    assert (
        picture(scene)
        == """
   client                    server
      │── 6 bytes "time?\\n" ───▶│   0.000
      │                         │   (no reply)
"""
    )


def test_a_packet_that_is_lost_with_and_without_a_rule() -> None:
    assert (
        picture(three(()))
        == """
   client                     server
      │── 3 bytes "one" ────────▶│   0.001
      │── 3 bytes "two" ─────✗   │   0.010  lost
      │── 3 bytes "six" ────────▶│   0.021
      │                          │   (no reply)
"""
    )
    dropped = Scene().fate(10.2, DIRECTION, 1, "drop: {packets: [2]}", "dropped", SUMMARY)
    assert (
        picture(three(()), dropped)
        == """
   client                     server
      │── 3 bytes "one" ────────▶│   0.001
      │── 3 bytes "two" ─────✗   │   0.010  lost: drop (rule 1)
      │── 3 bytes "six" ────────▶│   0.021
      │                          │   (no reply)
"""
    )


def test_a_packet_that_a_rule_holds() -> None:
    held = Scene().fate(10.2, DIRECTION, 2, "hold: {until: {match: icmp}}", "held", SUMMARY)

    assert (
        picture(three(()), held)
        == """
   client                     server
      │── 3 bytes "one" ────────▶│   0.001
      │── 3 bytes "two" ─────…   │   0.010  not arrived yet: hold (rule 2)
      │── 3 bytes "six" ────────▶│   0.021
      │                          │   (no reply)
"""
    )


def test_a_packet_that_arrives_twice() -> None:
    duplicated = Scene().fate(10.2, DIRECTION, 2, "duplicate: {}", "duplicated", SUMMARY)

    assert (
        picture(three((11, 12)), duplicated)
        == """
   client                server
      │── 3 bytes "one" ───▶│   0.001
      │── 3 bytes "two" ───▶│   0.011
      │── 3 bytes "two" ───▶│   0.012  again: duplicate (rule 2)
      │── 3 bytes "six" ───▶│   0.021
      │                     │   (no reply)
"""
    )


def test_packets_that_are_late_and_out_of_order() -> None:
    scene = three((30,))
    scene.send(40, "client", "server", udp("client", "server", b"slow"), arrives=(90,))
    kept = scene.fate(10.2, DIRECTION, 1, "swap: {packets: [2]}", "kept", SUMMARY)

    assert (
        picture(scene, kept)
        == """
   client                 server
      │── 3 bytes "one" ────▶│   0.001
      │── 3 bytes "six" ────▶│   0.021
      │── 3 bytes "two" ────▶│   0.030  out of order, sent 0.010: swap (rule 1)
      │── 4 bytes "slow" ───▶│   0.090  sent 0.040
      │                      │   (no reply)
"""
    )


def test_a_packet_that_is_changed_on_its_way() -> None:
    scene = Scene()
    changed = udp("client", "server", b"twn")
    scene.send(0, "client", "server", udp("client", "server", b"two"), arriving=changed)
    corrupted = scene.fate(0.1, DIRECTION, 1, "corrupt: {}", "corrupted", SUMMARY)

    assert (
        picture(scene, corrupted)
        == """
   client                server
      │── 3 bytes "two" ───▶│   0.000  corrupted: corrupt (rule 1)
      │                     │   (no reply)
"""
    )


def test_a_router_is_crossed_and_shows_where_a_packet_got_lost() -> None:
    scene = Scene()
    for at_ms, payload, to_router, to_server in (
        (0, b"hello", (0.1,), (0.3,)),
        (10, b"again", (10.1,), ()),
        (20, b"third", (), None),
        (30, b"slow!", (30.1,), (80,)),
    ):
        scene.send(at_ms, "client", "router", udp("client", "server", payload), arrives=to_router)
        if to_server is not None:
            forwarded = udp("client", "server", payload, ttl=63)
            scene.send(
                at_ms + 0.2,
                "router",
                "server",
                forwarded,
                arrives=to_server,
                interfaces=("e1", "e0"),
            )

    assert (
        picture(scene)
        == """
   client                      router                      server
      │── 5 bytes "hello" ────────┼──────────────────────────▶│   0.000
      │── 5 bytes "again" ────────┼───────────────────────✗   │   0.010  lost
      │── 5 bytes "third" ────✗   │                           │   0.020  lost
      │── 5 bytes "slow!" ────────┼──────────────────────────▶│   0.080  sent 0.030, slow to server
      │                           │                           │   (no reply)
"""
    )


def test_several_conversations_are_told_apart() -> None:
    scene = Scene()
    for number in (0, 1):
        ports = (4000 + number, 8080)
        scene.send(number, "client", "server", udp("client", "server", b"hi", ports=ports))
        back = udp("server", "client", b"ho", ports=ports[::-1])
        scene.send(number + 10, "server", "client", back)

    assert (
        picture(scene)
        == """
  [1] udp client 10.0.1.2:4000 → server 10.0.2.2:8080
  [2] udp client 10.0.1.2:4001 → server 10.0.2.2:8080
   client                   server
      │── [1] 2 bytes "hi" ───▶│   0.000
      │── [2] 2 bytes "hi" ───▶│   0.001
      │◀─── [1] 2 bytes "ho" ──│   0.010
      │◀─── [2] 2 bytes "ho" ──│   0.011
"""
    )


@pytest.mark.slow
def test_a_long_transfer_has_its_beginning_and_its_end() -> None:
    scene = Scene()
    handshake(scene)
    for number in range(712):
        seq = 1001 + 1448 * number
        segment = tcp("client", "server", "A", bytes(1448), seq=seq, ack=5001)
        scene.send(3 + number / 10, "client", "server", segment)
        if number % 2:
            ack = tcp("server", "client", "A", seq=5001, ack=seq + 1448, ports=(80, 4000))
            scene.send(3.05 + number / 10, "server", "client", ack)
    end = tcp("client", "server", "FA", seq=1001 + 1448 * 712, ack=5001)
    scene.send(100, "client", "server", end)

    assert (
        picture(scene)
        == """
   client                                    server
      │── SYN ─────────────────────────────────▶│   0.000
      │◀──────────────────────────── SYN, ACK ──│   0.001
      │── ACK 1 ───────────────────────────────▶│   0.002
      │── 1448 bytes 00000000… ────────────────▶│   0.003
      │── seq 1449: 1448 bytes 00000000… ──────▶│   0.003
      │── … 708 segments, 1.0 MiB … ───────────▶│   0.003
      │── seq 1028081: 1448 bytes 00000000… ───▶│   0.074
      │── seq 1029529: 1448 bytes 00000000… ───▶│   0.074
      │◀───────────────────────── ACK 1030977 ──│   0.074
      │── FIN, ACK ────────────────────────────▶│   0.100
"""
    )


def test_what_was_missed_is_said() -> None:
    assert picture(three(()), missed=3).splitlines()[-1] == (
        "  (the capture lacks 3 frames: what is shown as lost may have arrived)"
    )
    assert "1 frame:" in picture(three(()), missed=1)


def test_where_nothing_was_sent_there_is_no_picture() -> None:
    assert ladder([], ["client"]) == ""


def test_the_links_of_a_switch_that_was_not_captured_are_passed_over() -> None:
    scene = three((11,))
    links = [(("client", "eth0"), ("switch", "p1")), (("server", "eth0"), ("switch", "p2"))]

    assert ladder(scene.sightings, [], links=links) == ladder(scene.sightings, [])


def test_the_end_of_a_link_is_known_where_nothing_arrived() -> None:
    scene = Scene()
    scene.send(0, "client", "server", udp("client", "server", b"hi"), arrives=())
    links = [(("client", "eth0"), ("server", "eth0"))]

    assert (
        "\n" + ladder(scene.sightings, [], links=links)
        == """
   client                    server
      │── 2 bytes "hi" ─────✗   │   0.000  lost
"""
    )


def test_nodes_without_a_column_are_named() -> None:
    scene = Scene()
    for number in range(6):
        for again in range(number + 1):
            packet = udp("client", "server", b"%d" % again, ports=(4000, number))
            scene.send(number * 10 + again, "client", f"node{number}", packet)

    assert ladder(scene.sightings, ["client"]).splitlines()[-1] == (
        "  (not shown: what node0 node1 sent and received)"
    )


def test_any_frames_at_all_make_a_picture() -> None:
    whole = [
        ethernet("client", "server", tcp("client", "server", "PA", b"hi", seq=1)),
        ethernet("client", "server", udp("client", "server", b"\x1b[2J")),
        arp("client"),
    ]
    scene = Scene()
    for number, frame in enumerate(whole):
        for length in range(len(frame)):
            scene.see(number + length / 1000, "client", frame[:length], out=True)
            scene.see(number + length / 1000, "server", frame[:length], out=False)

    lines = ladder(scene.sightings, ["client", "server"]).splitlines()
    assert len(lines) > 10
    assert all(len(line) <= 100 and line.isprintable() for line in lines)


# Real packets


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[WiredLab]:
    with wired_lab(tmp_path) as lab:
        yield lab


def drawn(
    capture: Capture, armed: Faults | None = None, nodes: Sequence[str] = ("a", "b", "c")
) -> list[str]:
    """Return the lines without their times.

    The picture is of a machine that never stood still: what stands in it then is told as slow.
    """
    sightings = capture.sightings()
    fates = armed.fates() if armed else []
    moments = {each.time_ns for each in sightings} | {_decided_ns(each) for each in fates}
    prompt_ns = {moment: number * 1000 for number, moment in enumerate(sorted(moments))}
    text = ladder(
        [each._replace(time_ns=prompt_ns[each.time_ns]) for each in sightings],
        nodes,
        [each._replace(time_s=prompt_ns[_decided_ns(each)] / 1e9) for each in fates],
        missed=capture.missed(),
    )
    return [_without_time(line) for line in text.splitlines()]


def _decided_ns(fate: FateEntry) -> int:
    return int(fate.time_s * 1e9)


def _without_time(line: str) -> str:
    picture, _, behind = line.rpartition("│   ")
    time, _, note = behind.partition("  ")
    known = note if time.replace(".", "").isdigit() else behind
    return f"{picture}│ {known}".rstrip() if picture else line


@pytest.mark.kernel
def test_a_datagram_and_its_answer_in_a_lab(lab: WiredLab) -> None:
    sender, receiver = lab.udp(A4, B4)
    with Capture(lab.lab, lab.lab.state.nodes()) as capture:
        sender.send(b"time?\n")
        _, address = receiver.recvfrom(100)
        receiver.sendto(b"\0\1\2\3noon", address)
        sender.recv(100)

    assert drawn(capture) == [
        "      a                         b",
        '      │── 6 bytes "time?\\n" ───▶│',
        "      │◀─── 8 bytes 00010203… ──│",
    ]


@pytest.mark.kernel
@pytest.mark.parametrize("address", [B4, B6])
def test_a_tcp_connection_in_a_lab(lab: WiredLab, address: str) -> None:
    listener = lab.receiver("b", (address, 7000), socket.SOCK_STREAM)
    listener.listen()
    client = lab.receiver("a", ((A4 if address == B4 else A6), 0), socket.SOCK_STREAM)
    with Capture(lab.lab, lab.lab.state.nodes()) as capture:
        client.connect((address, 7000))
        server, _ = listener.accept()
        client.send(b"hi")
        server.recv(100)
        until(lambda: any("ACK 3" in line for line in drawn(capture)), LIMIT_S)
        client.close()
        # Who closes sooner than a delayed ACK says both in one segment.
        until(lambda: any("ACK 4" in line for line in drawn(capture)), LIMIT_S)
        server.close()
        until(lambda: any("ACK 2" in line for line in drawn(capture)), LIMIT_S)

    assert drawn(capture) == [
        "      a                    b",
        "      │── SYN ────────────▶│",
        "      │◀─────── SYN, ACK ──│",
        "      │── ACK 1 ──────────▶│",
        '      │── 2 bytes "hi" ───▶│',
        "      │◀────────── ACK 3 ──│",
        "      │── FIN, ACK ───────▶│",
        "      │◀────────── ACK 4 ──│",
        "      │◀─────── FIN, ACK ──│",
        "      │── ACK 2 ──────────▶│",
    ]


@pytest.mark.kernel
def test_who_refuses_is_seen_in_a_lab(lab: WiredLab) -> None:
    client = lab.open("a", socket.AF_INET, socket.SOCK_STREAM)
    sender = lab.open("a", socket.AF_INET, socket.SOCK_DGRAM)
    with Capture(lab.lab, lab.lab.state.nodes()) as capture:
        with pytest.raises(ConnectionRefusedError):
            client.connect((B4, 7001))
        sender.connect((B4, 9))
        sender.send(b"x")
        with pytest.raises(ConnectionRefusedError):
            sender.recv(10)

    assert drawn(capture)[2:] == [
        "      a                                     b",
        "      │── [1] SYN ─────────────────────────▶│",
        "      │◀──────────────────── [1] RST, ACK ──│",
        '      │── [2] 1 byte "x" ──────────────────▶│',
        "      │◀─── ICMP port unreachable (udp 9) ──│",
    ]


def under_faults(lab: WiredLab, rule: Mapping[str, object]) -> list[str]:
    """Send three datagrams of which a rule is for the second one; return the picture."""
    sender, _ = lab.udp(A4, B4)
    with (
        Capture(lab.lab, lab.lab.state.nodes()) as capture,
        faults(lab.lab, {"a->b": [rule]}) as armed,
    ):
        for payload in (b"one", b"two", b"six"):
            sender.send(payload)
        armed.prove()
        lines: list[str] = []

        def is_complete() -> bool:
            lines[:] = drawn(capture, armed)
            return sum("six" in line and "▶" in line for line in lines) == 1

        assert until(is_complete, LIMIT_S)
    return lines


@pytest.mark.kernel
def test_a_dropped_datagram_is_shown_with_its_rule_in_a_lab(lab: WiredLab) -> None:
    assert under_faults(lab, {"drop": {"match": "udp", "packets": [2]}}) == [
        "      a                          b",
        '      │── 3 bytes "one" ────────▶│',
        '      │── 3 bytes "two" ─────✗   │ lost: drop (rule 1)',
        '      │── 3 bytes "six" ────────▶│',
        "      │                          │ (no reply)",
    ]


@pytest.mark.kernel
def test_a_duplicate_is_shown_with_its_rule_in_a_lab(lab: WiredLab) -> None:
    assert under_faults(lab, {"duplicate": {"match": "udp", "packets": [2]}}) == [
        "      a                     b",
        '      │── 3 bytes "one" ───▶│',
        '      │── 3 bytes "two" ───▶│',
        '      │── 3 bytes "two" ───▶│ again: duplicate (rule 1)',
        '      │── 3 bytes "six" ───▶│',
        "      │                     │ (no reply)",
    ]


@pytest.mark.kernel
def test_a_swap_is_shown_with_its_rule_in_a_lab(lab: WiredLab) -> None:
    *lines, swapped, _ = under_faults(lab, {"swap": {"match": "udp", "packets": [2]}})

    assert lines == [
        "      a                     b",
        '      │── 3 bytes "one" ───▶│',
        '      │── 3 bytes "six" ───▶│',
    ]
    assert swapped.startswith('      │── 3 bytes "two" ───▶│ out of order, sent ')
    assert swapped.endswith(": swap (rule 1)")


@pytest.mark.kernel
def test_a_router_between_two_clients_in_a_lab() -> None:
    topology = load_topology(str(CHECKOUT / "labs/two_clients.yaml"), {})
    topology = topology._replace(name=unique_name())
    rules = {"server->client2": [{"drop": {"match": "udp", "packets": [2]}}]}
    with ExitStack() as stack:
        lab = stack.enter_context(running_lab(topology, is_rootless=True, impairments="wire"))
        nodes = lab.state.nodes()
        capture = stack.enter_context(Capture(lab, nodes))
        sender, receiver = (
            stack.enter_context(
                Control(lab.state).open_socket(nodes[node], socket.AF_INET, socket.SOCK_DGRAM)
            )
            for node in ("client1", "client2")
        )
        armed = stack.enter_context(faults(lab, rules))
        receiver.bind(("10.0.2.2", 8080))
        receiver.settimeout(LIMIT_S)
        sender.connect(("10.0.2.2", 8080))
        for payload in (b"one", b"two", b"six"):
            sender.send(payload)
        assert [receiver.recv(100), receiver.recv(100)] == [b"one", b"six"]
        armed.prove()
        lines = drawn(capture, armed, list(nodes))

    assert lines == [
        "   client1               server                client2",
        '      │── 3 bytes "one" ────┼────────────────────▶│',
        '      │── 3 bytes "two" ────┼──────────────────✗  │ lost: drop (rule 1)',
        '      │── 3 bytes "six" ────┼────────────────────▶│',
        "      │                     │                     │ (no reply)",
    ]
