import socket
from collections.abc import Iterator
from pathlib import Path
from struct import pack

import pytest

from labctl.errors import LabError
from labctl.kernel import detour, netlink
from labctl.kernel.detour import HiddenLinks
from labctl.kernel.wire import HIDDEN
from labctl.wait import until
from tests.limits import LIMIT_S
from tests.wired_lab import A4, B4, WiredLab, wired_lab

pytestmark = pytest.mark.kernel

_RTM_DELLINK = 17


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[WiredLab]:
    with wired_lab(tmp_path) as lab:
        yield lab


@pytest.fixture
def hidden(lab: WiredLab) -> Iterator[HiddenLinks]:
    with HiddenLinks(lab.control) as hidden:
        yield hidden


def test_it_knows_which_interfaces_are_there(hidden: HiddenLinks) -> None:
    assert hidden.has(["w0a", "w0b", "w1a", "w1b"])
    assert not hidden.has(["w0a", "w2a"])
    assert not hidden.has(["x0a"])


def test_what_comes_later_is_found(lab: WiredLab, hidden: HiddenLinks) -> None:
    assert not hidden.has(["x0a"])
    with HiddenLinks(lab.control) as another:
        another.ensure_pairs([("x0a", "x0b")])

    assert hidden.has(["x0a", "x0b"])


def test_a_pair_is_made_once(lab: WiredLab, hidden: HiddenLinks) -> None:
    # Both directions of a link ask for it, at once or one after the other.
    hidden.ensure_pairs([("x0a", "x0b"), ("x0a", "x0b")])
    first = _numbers(lab)
    hidden.ensure_pairs([("x0a", "x0b"), ("x1a", "x1b")])
    both = _numbers(lab)

    assert set(both) == {"lo", "w0a", "w0b", "w1a", "w1b", "x0a", "x0b", "x1a", "x1b"}
    assert first.items() < both.items()


def test_a_pair_that_was_left_down_is_set_up(lab: WiredLab, hidden: HiddenLinks) -> None:
    hidden.ensure_pairs([("x0a", "x0b")])
    with lab.control.open_socket(HIDDEN, socket.AF_NETLINK, socket.SOCK_RAW) as sock:
        batch = netlink.Batch(sock)
        batch.add(netlink.set_down(_numbers(lab)["x0b"]), 1)
        batch.flush()

    hidden.ensure_pairs([("x0a", "x0b")])
    sender, tap = lab.open_hidden("x0a"), lab.open_hidden("x0b")
    sender.send(bytes(60))
    assert tap.recv(100) == bytes(60)


def _numbers(lab: WiredLab) -> dict[str, int]:
    with lab.control.open_socket(HIDDEN, socket.AF_NETLINK, socket.SOCK_RAW) as sock:
        return {name: ifindex for ifindex, name in netlink.list_links(sock)}


def test_a_link_whose_hidden_ends_were_held_back_passes_the_first_datagram(
    lab: WiredLab, hidden: HiddenLinks
) -> None:
    numbers = _numbers(lab)
    with lab.control.open_socket(HIDDEN, socket.AF_NETLINK, socket.SOCK_RAW) as sock:
        batch = netlink.Batch(sock)
        for name in ("w0a", "w0b"):
            batch.add(netlink.set_down(numbers[name]), 1)
        batch.flush()
    sender, receiver = lab.udp(A4, B4)

    hidden.bring_up(["w0a", "w0b"])
    for node in "ab":
        detour.await_active(lab.control, lab.lab.netns(node), ["eth0"])
    sender.send(b"first")

    assert receiver.recv(100) == b"first"


def test_to_wait_for_an_interface_that_is_gone_is_an_error(lab: WiredLab) -> None:
    with pytest.raises(LabError, match="the link eth7 is gone"):
        detour.await_active(lab.control, lab.lab.netns("a"), ["eth0", "eth7"])


def test_frames_go_where_they_are_pointed_and_back(lab: WiredLab, hidden: HiddenLinks) -> None:
    sender, receiver = lab.udp(A4, B4)
    sender.send(b"first")
    assert receiver.recv(100) == b"first"
    hidden.ensure_pairs([("x0a", "x0b")])
    tap = lab.open_hidden("x0b")

    hidden.point([("w0a", "x0a")])
    sender.send(b"astray")
    # Before it a host may ask for routers and tell its groups, for seconds after its link is up.
    assert until(lambda: tap.recv(100).endswith(b"astray"), LIMIT_S)

    hidden.point([("w0a", "w0b")])
    sender.send(b"last")
    assert receiver.recv(100) == b"last"


@pytest.mark.parametrize(("far", "to"), [("w0a", "x0a"), ("w7a", "w0b")])
def test_an_interface_that_is_not_there_is_an_error_before_anything_changes(
    lab: WiredLab, hidden: HiddenLinks, far: str, to: str
) -> None:
    hidden.ensure_pairs([("x1a", "x1b")])

    with pytest.raises(LabError, match="is gone: one of its interfaces was deleted"):
        hidden.point([("w0a", "x1a"), (far, to)])

    sender, receiver = lab.udp(A4, B4)
    sender.send(b"as before")
    assert receiver.recv(100) == b"as before"


def test_an_interface_that_goes_meanwhile_is_the_same_error(
    lab: WiredLab, hidden: HiddenLinks
) -> None:
    hidden.ensure_pairs([("x0a", "x0b")])
    with lab.control.open_socket(HIDDEN, socket.AF_NETLINK, socket.SOCK_RAW) as sock:
        batch = netlink.Batch(sock)
        batch.add(
            netlink.message(_RTM_DELLINK, 0, pack("BxHiII", 0, 0, _numbers(lab)["x0a"], 0, 0)), 1
        )
        batch.flush()

    with pytest.raises(LabError, match="the link w0a is gone"):
        hidden.point([("w0a", "x0a")])
