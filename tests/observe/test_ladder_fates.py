from labctl.observe.ladder_fates import find_fates, target_of
from labctl.observe.ladder_hops import find_hops
from labctl.wire.fates import FateEntry
from tests.observe.scenes import START_NS, Fate, Scene, udp

SUMMARY = "10.0.1.2:4000 > 10.0.2.2:8080 UDP 3 bytes"
DIRECTION = "client:eth0->server:eth0"


def decided(at_ms: float, rule: int, done: str) -> Fate:
    return Scene().fate(at_ms, DIRECTION, rule, f"{done}: {{}}", done, SUMMARY)


def found(scene: Scene, *fates: Fate) -> dict[int, int]:
    """Return the rule that decided about each sending, by its place among the sightings."""
    hops = find_hops(scene.sightings, {})
    by_number = find_fates(scene.sightings, hops, fates)
    return {number: fate.rule for number, fate in by_number.items()}


def burst(**arrivals: tuple[float, ...]) -> Scene:
    """Send packets 0.01 ms apart that look alike in the log and are not."""
    scene = Scene()
    for number, (payload, arrives) in enumerate(arrivals.items()):
        packet = udp("client", "server", payload.encode())
        scene.send(number / 100, "client", "server", packet, arrives=arrives)
    return scene


def test_a_drop_is_about_the_packet_that_did_not_arrive() -> None:
    assert found(burst(one=(1,), two=(), six=(2,)), decided(0.5, 7, "dropped")) == {1: 7}


def test_a_duplicate_is_about_the_packet_that_came_twice() -> None:
    assert found(burst(one=(1,), two=(2, 3), six=(4,)), decided(0.5, 7, "duplicated")) == {1: 7}


def test_a_delay_is_about_the_packet_that_came_late() -> None:
    assert found(burst(one=(0.6,), two=(50,), six=(0.7,)), decided(0.5, 7, "delayed")) == {1: 7}
    assert found(burst(one=(0.6,), two=(), six=(0.7,)), decided(0.5, 7, "held")) == {1: 7}


def test_a_swap_is_about_the_packet_that_was_overtaken() -> None:
    assert found(burst(one=(0.6,), two=(0.8,), six=(0.7,)), decided(0.5, 7, "kept")) == {1: 7}


def test_corruption_is_about_the_packet_that_came_changed() -> None:
    scene = burst(one=(1,), six=(2,))
    scene.send(
        0.005,
        "client",
        "server",
        udp("client", "server", b"two"),
        arriving=udp("client", "server", b"twn"),
    )

    assert found(scene, decided(0.5, 7, "corrupted")) == {1: 7}


def test_decisions_are_made_in_the_order_of_sending() -> None:
    scene = burst(one=(), two=(), six=())

    assert found(scene, *(decided(0.5 + rule / 100, rule, "dropped") for rule in (1, 2, 3))) == {
        0: 1,
        1: 2,
        2: 3,
    }


def test_a_decision_is_about_what_was_sent_shortly_before_it() -> None:
    scene = Scene()
    for at_ms in (0, 1000, 2000):
        scene.send(at_ms, "client", "server", udp("client", "server", b"one"), arrives=())

    assert found(scene, decided(1000.5, 7, "dropped")) == {1: 7}


def test_a_decision_about_something_else_is_about_nothing_here() -> None:
    scene = burst(one=())

    assert (
        found(scene, decided(0.5, 7, "dropped")._replace(direction="server:eth0->client:eth0"))
        == {}
    )
    assert found(scene, decided(0.5, 7, "dropped")._replace(packet="another")) == {}
    assert found(scene, decided(-500, 7, "dropped")) == {}


def test_how_a_fault_ended_is_no_decision() -> None:
    assert found(burst(one=(5,)), decided(0.5, 7, "released"), decided(0.5, 7, "swapped")) == {}


def test_the_log_tells_where_directions_lead() -> None:
    assert target_of([decided(0, 1, "dropped")]) == {"client:eth0": "server:eth0"}


def test_the_log_of_the_wire_is_such_a_log() -> None:
    entry = FateEntry(
        START_NS / 1e9, "client--server", DIRECTION, 7, "drop: {}", 1, "dropped", "", SUMMARY
    )
    scene = burst(one=())
    hops = find_hops(scene.sightings, {})

    assert find_fates(scene.sightings, hops, [entry]) == {0: entry}
