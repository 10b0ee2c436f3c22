import socket
from collections.abc import Iterator
from pathlib import Path
from struct import pack

import pytest

from labctl.errors import LabError
from labctl.kernel import netlink
from labctl.kernel.netem_links import NetemLinks
from labctl.topology.directions import all_directions
from labctl.topology.impairment import PERFECT
from labctl.topology.impairment_words import parse_impairment
from labctl.wait import until
from tests.kernel.netem_link import why_no_netem
from tests.limits import LIMIT_S
from tests.wired_lab import A4, B4, WiredLab, wired_lab

LOSS = parse_impairment(["loss", "100%"])
_RTM_DELLINK = 17


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[WiredLab]:
    with wired_lab(tmp_path, "none") as lab:
        yield lab


@pytest.fixture
def links(lab: WiredLab) -> NetemLinks:
    return NetemLinks(lab.control, lab.lab.state.nodes())


@pytest.mark.kernel
def test_good_links_have_none_and_stay_as_they_are(lab: WiredLab, links: NetemLinks) -> None:
    every = all_directions(lab.topology)

    links.clear(every)

    assert links.installed(every) == {}


@pytest.mark.kernel
def test_a_direction_whose_interface_is_gone_is_named_and_has_none(
    lab: WiredLab, links: NetemLinks
) -> None:
    [gone] = lab.directions("a")
    with lab.control.open_socket(lab.lab.netns("a"), socket.AF_NETLINK, socket.SOCK_RAW) as sock:
        [ifindex] = [index for index, name in netlink.list_links(sock) if name == "eth0"]
        batch = netlink.Batch(sock)
        batch.add(netlink.message(_RTM_DELLINK, 0, pack("BxHiII", 0, 0, ifindex, 0, 0)), 1)
        batch.flush()

    with pytest.raises(LabError, match=f"the link {gone.name} is gone"):
        links.put(gone, LOSS)
    assert links.installed([gone]) == {}
    links.clear([gone])


@pytest.mark.netem
@pytest.mark.skipif(bool(why_no_netem()), reason=f"{why_no_netem()}: tests/uml has one that has")
def test_all_interfaces_of_a_node_are_made_bad_and_good_again(
    lab: WiredLab, links: NetemLinks
) -> None:
    every = all_directions(lab.topology)
    [a], [b0], [b1] = (lab.directions(place) for place in ("a", "b:eth0", "b:eth1"))
    links.put(b0, LOSS)
    links.put(b1, parse_impairment(["delay", "1ms"]))
    links.put(b1, LOSS)

    found = links.installed(every)
    assert {name: netem.impairment for name, netem in found.items()} == {
        b0.name: LOSS,
        b1.name: LOSS,
    }

    links.clear([a, b0])
    assert set(links.installed(every)) == {b1.name}
    links.clear(every)
    assert links.installed(every) == {}


@pytest.mark.netem
@pytest.mark.skipif(bool(why_no_netem()), reason=f"{why_no_netem()}: tests/uml has one that has")
def test_packets_that_wait_arrive_after_all(lab: WiredLab, links: NetemLinks) -> None:
    [direction] = lab.directions("a")
    sender, receiver = lab.udp(A4, B4)
    sender.send(b"the neighbour is known now")
    receiver.recv(100)
    links.put(direction, parse_impairment(["delay", "3s"]))
    sender.send(b"waits")

    links.clear([direction])

    assert links.installed([direction])[direction.name].impairment == PERFECT
    assert receiver.recv(100) == b"waits"

    def is_gone() -> bool:
        # What a host says by itself, such as which groups it is in, may have come to wait as well.
        links.clear([direction])
        return links.installed([direction]) == {}

    assert until(is_gone, LIMIT_S)
