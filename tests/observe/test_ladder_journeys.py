from labctl.observe.ladder_hops import Hop, find_hops
from labctl.observe.ladder_journeys import Journey, find_journeys
from tests.observe.scenes import Scene, arp, ethernet, udp

OUT = ("eth1", "eth0")


def journeys_of(scene: Scene) -> list[Journey]:
    return find_journeys(scene.sightings, find_hops(scene.sightings, {}))


def routed(scene: Scene, at_ms: float, payload: bytes, *, is_lost: bool = False) -> None:
    scene.send(at_ms, "client", "router", udp("client", "server", payload))
    packet = udp("client", "server", payload, ttl=63)
    arrives: tuple[float, ...] | None = () if is_lost else None
    scene.send(at_ms + 1, "router", "server", packet, interfaces=OUT, arrives=arrives)


def test_a_packet_goes_on_where_a_router_forwards_it() -> None:
    scene = Scene()
    routed(scene, 0, b"hi")

    [journey] = journeys_of(scene)
    assert journey == Journey((Hop(0, 1), Hop(2, 3)))
    assert (journey.first, journey.arrived) == (0, 3)


def test_a_packet_may_be_lost_behind_a_router() -> None:
    scene = Scene()
    routed(scene, 0, b"hi", is_lost=True)

    [journey] = journeys_of(scene)
    assert (journey.first, journey.arrived) == (0, None)


def test_an_answer_with_the_same_bytes_is_a_journey_of_its_own() -> None:
    scene = Scene()
    scene.send(0, "client", "server", udp("client", "server", b"hi"))
    scene.send(1, "server", "client", udp("server", "client", b"hi", ports=(8080, 4000)))

    assert len(journeys_of(scene)) == 2


def test_packets_that_are_alike_are_forwarded_in_their_order() -> None:
    scene = Scene()
    for at_ms in (0, 10, 20):
        routed(scene, at_ms, b"hi")

    assert [journey.first for journey in journeys_of(scene)] == [0, 4, 8]
    assert [journey.arrived for journey in journeys_of(scene)] == [3, 7, 11]


def test_a_duplicate_that_is_forwarded_is_one_to_its_end() -> None:
    scene = Scene()
    scene.send(0, "client", "router", udp("client", "server", b"hi"), arrives=(1, 3))
    for at_ms in (2, 4):
        packet = udp("client", "server", b"hi", ttl=63)
        scene.send(at_ms, "router", "server", packet, interfaces=OUT)

    assert [journey.is_again for journey in journeys_of(scene)] == [False, True]


def test_what_was_changed_on_the_way_is_known() -> None:
    scene = Scene()
    scene.send(
        0,
        "client",
        "server",
        udp("client", "server", b"hi"),
        arriving=udp("client", "server", b"hh"),
    )

    assert [journey.is_corrupted for journey in journeys_of(scene)] == [True]


def test_a_switch_may_send_to_all_what_is_for_one() -> None:
    scene = Scene()
    scene.send(0, "server", "client", udp("server", "client", b"known by now"))
    frame = ethernet("client", "server", udp("client", "server", b"hi"))
    scene.see(1, "client", frame, out=True)
    for at_ms, node in ((2, "other"), (3, "server")):
        scene.see(at_ms, node, frame, out=False)

    [_, journey] = journeys_of(scene)
    assert journey.arrived is not None
    assert scene.sightings[journey.arrived].node == "server"


def test_what_is_for_all_has_a_journey_to_each() -> None:
    scene = Scene()
    scene.see(0, "client", arp("client"), out=True)
    scene.see(1, "switch", arp("client"), out=False, interface="p1")
    for number, node in enumerate(("server", "other"), start=2):
        scene.see(number, "switch", arp("client"), out=True, interface=f"p{number}")
        scene.see(number + 2, node, arp("client"), out=False)

    ends = [scene.sightings[each.arrived].node for each in journeys_of(scene) if each.arrived]
    assert ends == ["server", "other"]


def test_an_arrival_without_a_sender_is_a_journey() -> None:
    scene = Scene()
    scene.see(0, "client", arp("server"), out=False)

    [journey] = journeys_of(scene)
    assert (journey.first, journey.arrived) == (0, 0)
