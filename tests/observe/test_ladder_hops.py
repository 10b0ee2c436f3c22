from labctl.observe.ladder_hops import Hop, find_hops, overtaken
from tests.observe.scenes import Scene, ethernet, udp

ONE, TWO = udp("client", "server", b"one"), udp("client", "server", b"two")


def hops_of(scene: Scene) -> list[Hop]:
    return find_hops(scene.sightings, {})


def test_what_one_node_sent_and_another_received_is_a_hop() -> None:
    scene = Scene()
    scene.send(0, "client", "server", ONE)
    scene.send(1, "server", "client", udp("server", "client", b"one"))

    assert hops_of(scene) == [Hop(0, 1), Hop(2, 3)]


def test_a_checksum_that_the_sender_left_out_makes_no_difference() -> None:
    scene = Scene()
    scene.send(0, "client", "server", ONE, arriving=ONE[:26] + b"\xab\xcd" + ONE[28:])

    assert hops_of(scene) == [Hop(0, 1)]


def test_what_nobody_received_and_what_nobody_sent() -> None:
    scene = Scene()
    scene.send(0, "client", "server", ONE, arrives=())
    scene.see(
        1, "server", ethernet("client", "server", udp("client", "server", b"other")), out=False
    )

    assert hops_of(scene) == [Hop(0, None), Hop(None, 1)]


def test_a_second_arrival_is_the_same_frame_again() -> None:
    scene = Scene()
    scene.send(0, "client", "server", ONE, arrives=(1, 2))

    assert hops_of(scene) == [Hop(0, 1), Hop(0, 2, is_again=True)]


def test_frames_that_are_alike_arrive_in_their_order() -> None:
    scene = Scene()
    for at_ms in (0, 10, 20):
        scene.send(at_ms, "client", "server", ONE, arrives=(at_ms + 100,))

    assert hops_of(scene) == [Hop(0, 3), Hop(1, 4), Hop(2, 5)]


def test_of_frames_that_are_alike_the_one_sent_just_before_has_arrived() -> None:
    scene = Scene()
    scene.send(0, "client", "server", ONE, arrives=())
    scene.send(10, "client", "server", ONE)
    scene.send(20, "client", "server", ONE, arrives=())

    assert hops_of(scene) == [Hop(0, None), Hop(1, 2), Hop(3, None)]


def test_how_long_others_took_tells_which_one_arrived() -> None:
    scene = Scene()
    scene.send(0, "client", "server", TWO, arrives=(100,))
    scene.send(200, "client", "server", ONE, arrives=(300,))
    scene.send(290, "client", "server", ONE, arrives=())

    # sightings: 0 and 1 are TWO; 2, 3 sent, 4 arrives
    assert hops_of(scene) == [Hop(0, 1), Hop(2, 4), Hop(3, None)]


def test_a_changed_bit_is_corruption_and_more_is_another_frame() -> None:
    scene = Scene()
    scene.send(0, "client", "server", ONE, arriving=udp("client", "server", b"ooe"))
    scene.send(1, "client", "server", ONE, arriving=udp("client", "server", b"\xff\xff\x00"))

    assert hops_of(scene) == [Hop(0, 1, is_corrupted=True), Hop(2, None), Hop(None, 3)]


def test_a_frame_that_a_switch_sent_to_several_is_several_hops() -> None:
    scene = Scene()
    frame = ethernet("client", "*", ONE)
    scene.see(0, "client", frame, out=True)
    for at_ms, node in ((1, "server"), (2, "other")):
        scene.see(at_ms, node, frame, out=False)

    assert hops_of(scene) == [Hop(0, 1), Hop(0, 2)]


def test_a_bridge_hears_what_it_forwards_once() -> None:
    scene = Scene()
    frame = ethernet("client", "*", ONE)
    scene.see(0, "client", frame, out=True)
    scene.see(1, "switch", frame, out=False, interface="p1")
    scene.see(2, "switch", frame, out=False, interface="br0")
    scene.see(3, "switch", frame, out=True, interface="p2")
    scene.see(4, "server", frame, out=False)

    assert hops_of(scene) == [Hop(0, 1), Hop(3, 4)]


def test_a_device_on_top_of_another_sends_nothing_of_its_own() -> None:
    scene = Scene()
    frame = ethernet("client", "server", ONE)
    scene.see(0, "client", frame, out=True, interface="br0")
    scene.see(1, "client", frame, out=True, interface="p1")
    scene.see(2, "server", frame, out=False)

    assert [hop for hop in hops_of(scene) if hop.arrived is None] == []
    assert len(hops_of(scene)) == 1


def test_a_frame_goes_only_where_its_link_leads() -> None:
    scene = Scene()
    frame = ethernet("client", "*", ONE)
    scene.see(0, "client", frame, out=True)
    scene.see(1, "other", frame, out=False)
    ends = {("client", "eth0"): ("server", "eth0"), ("server", "eth0"): ("client", "eth0")}

    assert find_hops(scene.sightings, ends) == [Hop(0, None), Hop(None, 1)]


def test_many_frames_that_are_alike_are_paired_in_their_order() -> None:
    scene = Scene()
    frame = ethernet("client", "server", ONE)
    for number in range(500):
        scene.see(number, "client", frame, out=True)
        scene.see(number + 0.5, "server", frame, out=False)

    assert hops_of(scene) == [Hop(2 * number, 2 * number + 1) for number in range(500)]


def test_what_arrives_behind_a_later_one_was_overtaken() -> None:
    scene = Scene()
    scene.send(0, "client", "server", ONE, arrives=(5,))
    scene.send(1, "client", "server", TWO, arrives=(2,))
    scene.send(6, "client", "server", udp("client", "server", b"three"))

    assert overtaken(scene.sightings, hops_of(scene)) == {3}


def test_what_comes_again_late_was_not_overtaken() -> None:
    scene = Scene()
    scene.send(0, "client", "server", ONE, arrives=(0.5, 5))
    scene.send(1, "client", "server", TWO)

    assert overtaken(scene.sightings, hops_of(scene)) == set()
