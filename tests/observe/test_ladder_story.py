from collections.abc import Mapping

import pytest

from labctl.observe.ladder_fates import FateEntry
from labctl.observe.ladder_hops import find_hops
from labctl.observe.ladder_journeys import find_journeys
from labctl.observe.ladder_rows import Row
from labctl.observe.ladder_story import Story
from labctl.observe.ladder_targets import Targets
from tests.observe.scenes import Scene, arp, handshake, ipv4, tcp, udp

NODES = ["client", "router", "server", "other"]


def story(scene: Scene, decided: Mapping[int, FateEntry] | None = None) -> Story:
    hops = find_hops(scene.sightings, {})
    journeys = find_journeys(scene.sightings, hops)
    targets = Targets(scene.sightings, hops, [], {})
    return Story(scene.sightings, hops, journeys, decided or {}, targets)


def rows_of(scene: Scene, decided: Mapping[int, FateEntry] | None = None) -> list[Row]:
    rows, _, _ = story(scene, decided).tell(NODES)
    return rows


def remarks(scene: Scene) -> list[str]:
    return [row.note for row in rows_of(scene) if not row.label]


def ask(scene: Scene, at_ms: float = 0, *, port: int = 4000, is_lost: bool = False) -> None:
    packet = udp("client", "server", b"time?", ports=(port, 8080))
    scene.send(at_ms, "client", "server", packet, arrives=() if is_lost else None)


def answer(scene: Scene, at_ms: float = 1, *, port: int = 4000) -> None:
    scene.send(at_ms, "server", "client", udp("server", "client", b"noon", ports=(8080, port)))


def test_a_row_has_what_one_needs_to_draw_and_to_count_it() -> None:
    scene = Scene()
    ask(scene)
    answer(scene, 2)

    request, reply = rows_of(scene)
    assert request == Row(
        20_000,
        "client",
        "server",
        '5 bytes "time?"',
        unit="datagram",
        data_bytes=5,
        is_plain=True,
    )
    assert (reply.time_ns, reply.source, reply.target) == (2_020_000, "server", "client")


def test_housekeeping_is_left_out_unless_there_is_nothing_else() -> None:
    scene = Scene()
    scene.see(0, "client", arp("client"), out=True)
    scene.see(0.1, "server", arp("client"), out=False)
    assert [row.label for row in rows_of(scene)] == ["ARP who has 0.0.0.0, tell 10.0.1.2"]

    ask(scene, 10)
    assert [row.label for row in rows_of(scene)] == ['5 bytes "time?"', ""]
    assert rows_of(scene)[0].time_ns == 20_000  # since the first packet that is shown


def test_columns_are_the_nodes_that_took_part_in_the_order_of_the_lab() -> None:
    scene = Scene()
    scene.send(0, "server", "client", udp("server", "client", b"x"))
    _, columns, others = story(scene).tell(NODES)
    assert (columns, others) == (["client", "server"], [])

    scene.send(1, "client", "router", udp("client", "other", b"x"))
    scene.send(2, "router", "other", udp("client", "other", b"x", ttl=63), interfaces=("e1", "e0"))
    _, columns, others = story(scene).tell(NODES)
    assert (columns, others) == (NODES, [])


def test_of_many_nodes_those_with_most_packets_have_columns() -> None:
    scene = Scene()
    for number in range(8):
        for again in range(number + 1):
            packet = udp("client", "server", b"%d %d" % (number, again))
            scene.send(number * 10 + again, "client", f"node{number}", packet)

    rows, columns, others = story(scene).tell(["client"])
    assert columns == ["client", "node4", "node5", "node6", "node7"]
    assert others == ["node0", "node1", "node2", "node3"]
    assert {row.target for row in rows if row.label} == set(columns) - {"client"}


def test_a_way_that_turns_back_in_the_picture_is_drawn_as_its_hops() -> None:
    scene = Scene()
    scene.send(0, "client", "router", udp("client", "server", b"x"))
    scene.send(
        1,
        "router",
        "server",
        udp("client", "server", b"x", ttl=63),
        interfaces=("e1", "e0"),
        arrives=(),
    )
    scene.send(2, "router", "server", udp("router", "server", b"y"), interfaces=("e1", "e0"))

    rows, _, _ = story(scene).tell(["client", "server", "router"])
    assert [(row.source, row.target, row.end) for row in rows[:2]] == [
        ("client", "router", "arrived"),
        ("router", "server", "lost"),
    ]
    assert [row.note for row in rows[:2]] == ["", "lost"]


def test_several_conversations_have_numbers_and_a_legend() -> None:
    scene = Scene()
    ask(scene, 0)
    assert story(scene).legend() == []

    ask(scene, 1, port=4001)
    assert [row.label for row in rows_of(scene) if row.label] == [
        '[1] 5 bytes "time?"',
        '[2] 5 bytes "time?"',
    ]
    assert story(scene).legend() == [
        "  [1] udp client 10.0.1.2:4000 → server 10.0.2.2:8080",
        "  [2] udp client 10.0.1.2:4001 → server 10.0.2.2:8080",
    ]


def test_a_long_legend_is_cut() -> None:
    scene = Scene()
    for number in range(20):
        ask(scene, number, port=4000 + number)

    legend = story(scene).legend()
    assert len(legend) == 8
    assert legend[-1] == "  … and 13 more"


def test_a_question_at_the_end_is_not_answered() -> None:
    scene = Scene()
    ask(scene)
    assert remarks(scene) == ["(no reply)"]

    answer(scene)
    assert remarks(scene) == []

    ask(scene, 2)
    ask(scene, 3, port=4001)
    answer(scene, 4, port=4001)
    assert remarks(scene) == ["(no reply to [1])"]


def test_an_answer_from_another_port_is_an_answer() -> None:
    scene = Scene()
    ask(scene)
    data = udp("server", "client", b"data", ports=(50000, 4000))
    scene.send(1, "server", "client", data)
    assert remarks(scene) == ["(no reply to [2])"]  # the client has not said anything to it

    scene.send(2, "client", "server", udp("client", "server", b"ack", ports=(4000, 50000)))
    assert remarks(scene) == []


def test_many_questions_without_an_answer_are_one_remark() -> None:
    scene = Scene()
    for number in range(20):
        ask(scene, number, port=4000 + number)

    assert remarks(scene) == ["(no reply to [1], [2], [3] and 17 more)"]


def test_a_question_that_was_lost_needs_no_answer() -> None:
    scene = Scene()
    ask(scene, is_lost=True)

    assert remarks(scene) == []


def test_an_error_or_an_end_is_an_answer() -> None:
    scene = Scene()
    ask(scene)
    unreachable = b"\x03\x03" + bytes(6) + udp("client", "server", b"time?")
    scene.send(1, "server", "client", ipv4("server", "client", 1, unreachable))
    assert remarks(scene) == []

    scene = Scene()
    handshake(scene)
    scene.send(3, "client", "server", tcp("client", "server", "A", b"hi", seq=1001, ack=5001))
    assert remarks(scene) == ["(no reply)"]
    end = tcp("server", "client", "FA", seq=5001, ack=1003, ports=(80, 4000))
    scene.send(4, "server", "client", end)
    assert remarks(scene) == []


def test_what_took_long_is_drawn_when_it_arrives() -> None:
    scene = Scene()
    ask(scene)
    packet = udp("client", "server", b"slow", ports=(4000, 8080))
    scene.send(10, "client", "server", packet, arrives=(60,))

    assert [(row.time_ns, row.note) for row in rows_of(scene)][1] == (60_000_000, "sent 0.010")


@pytest.mark.parametrize(
    ("arrives", "forwarded", "note"),
    [(50, 50.1, "sent 0.000, slow to router"), (1, 50, "sent 0.000, slow in router")],
)
def test_of_several_hops_the_slow_one_is_named(arrives: float, forwarded: float, note: str) -> None:
    scene = Scene()
    scene.send(0, "client", "router", udp("client", "server", b"x"), arrives=(arrives,))
    packet = udp("client", "server", b"x", ttl=63)
    scene.send(forwarded, "router", "server", packet, interfaces=("e1", "e0"))

    assert rows_of(scene)[0].note == note


def test_what_is_lost_stands_behind_what_was_sent_before_it() -> None:
    scene = Scene()
    for number, arrives in enumerate(((0.3,), (), (0.4,))):
        packet = udp("client", "server", b"%d" % number)
        scene.send(number / 100, "client", "server", packet, arrives=arrives)

    assert [row.label for row in rows_of(scene)][:3] == [f'1 byte "{n}"' for n in "012"]


def test_where_others_took_longer_it_may_still_arrive() -> None:
    scene = Scene()
    ask(scene, 100, is_lost=True)
    scene.send(0, "client", "server", udp("client", "server", b"slow"), arrives=(110,))

    assert [row.end for row in rows_of(scene) if row.label] == ["waiting", "arrived"]
    assert rows_of(scene)[0].note == "not arrived yet"


@pytest.mark.parametrize(
    ("done", "end", "note"),
    [
        ("dropped", "lost", "lost: drop (rule 3)"),
        ("corrupted", "lost", "lost: drop (rule 3)"),
        ("held", "waiting", "not arrived yet: drop (rule 3)"),
        ("kept", "waiting", "not arrived yet: drop (rule 3)"),
    ],
)
def test_what_a_rule_did_to_it_tells_whether_it_may_still_arrive(
    done: str, end: str, note: str
) -> None:
    scene = Scene()
    ask(scene, is_lost=True)
    fate = scene.fate(0, "client:eth0->server:eth0", 3, "drop: {}", done, "")

    [row] = rows_of(scene, {0: fate})
    assert (row.end, row.note) == (end, note)


@pytest.mark.parametrize(
    ("done", "note"),
    [
        ("delayed", "delay (rule 3)"),
        ("corrupted", "corrupted: delay (rule 3)"),
        ("dropped", ""),  # it was another one that looked the same
        ("duplicated", ""),  # its second arrival is what is told of
    ],
)
def test_what_a_rule_did_to_what_arrived_is_told(done: str, note: str) -> None:
    scene = Scene()
    ask(scene)
    fate = scene.fate(0, "client:eth0->server:eth0", 3, "delay: {by: 1ms}", done, "")

    assert rows_of(scene, {0: fate})[0].note == note


def test_what_a_node_sends_to_itself_has_one_column() -> None:
    scene = Scene()
    scene.see(
        0,
        "client",
        bytes(12) + b"\x08\0" + udp("client", "client", b"me"),
        out=False,
        interface="lo",
    )

    [row, *_], columns, _ = story(scene).tell(NODES)
    assert (row.source, row.target, columns) == ("client", "client", ["client"])
