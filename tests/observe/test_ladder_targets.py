from labctl.observe.ladder_hops import Place, find_hops
from labctl.observe.ladder_targets import Targets
from tests.observe.scenes import Fate, Scene, arp, ethernet, udp

LOST = udp("client", "server", b"lost")


def target(scene: Scene, *fates: Fate, ends: dict[Place, Place] | None = None) -> str:
    """Send a packet that is lost; return where it was going."""
    scene.send(100, "client", "server", LOST, arrives=())
    hops = find_hops(scene.sightings, {})
    return Targets(scene.sightings, hops, fates, ends or {}).of(scene.sightings[-1])


def test_without_anything_else_nobody_knows() -> None:
    assert target(Scene()) == ""


def test_others_to_the_same_address_arrived_there() -> None:
    scene = Scene()
    scene.send(0, "client", "router", udp("client", "other", b"elsewhere"))
    scene.send(1, "client", "router", udp("client", "other", b"elsewhere too"))
    scene.send(2, "client", "server", udp("client", "server", b"not lost"))

    assert target(scene) == "server"


def test_others_from_the_same_interface_arrived_there() -> None:
    scene = Scene()
    scene.see(0, "client", arp("client"), out=True)
    scene.see(1, "router", arp("client"), out=False)

    assert target(scene) == "router"


def test_whoever_sent_from_that_address_has_it() -> None:
    scene = Scene()
    scene.see(0, "server", ethernet("server", "other", LOST), out=True)

    assert target(scene) == "server"


def test_the_log_of_the_rules_names_the_other_end() -> None:
    fate = Scene().fate(0, "client:eth0->router:eth1", 1, "drop: {}", "dropped", "another")

    assert target(Scene(), fate) == "router"


def test_a_link_that_is_known_leads_to_its_end() -> None:
    assert target(Scene(), ends={("client", "eth0"): ("router", "eth5")}) == "router"
