from labctl.observe.sighting import Sighting


def test_a_place_is_written_as_on_the_command_line() -> None:
    assert Sighting(0, "client1", "veth_c1", True, b"").place == "client1:veth_c1"
