import struct

import pytest

from labctl.kernel import netlink, redirect
from tests.own_namespace import TWO_PAIRS, run_in_namespace


def test_messages_say_how_long_they_are() -> None:
    for message in (redirect.add_ingress(2), redirect.redirect(2, 3), redirect.add_netem(1)):
        assert struct.unpack_from("I", message) == (len(message),)


def test_a_changed_redirect_is_the_same_filter() -> None:
    first, second = redirect.redirect(2, 3), redirect.redirect(2, 4)

    # All but the destination: a filter with a handle of its own would leave the first in place.
    assert len(first) == len(second)
    assert [at for at in range(len(first)) if first[at] != second[at]] == [
        first.index(struct.pack("I", 3), len(first) - 8)
    ]


def test_a_redirect_may_create_and_replace() -> None:
    (flags,) = struct.unpack_from("H", redirect.redirect(2, 3), 6)

    assert flags & netlink.NLM_F_CREATE
    assert flags & netlink.NLM_F_REPLACE
    assert not flags & netlink.NLM_F_EXCL


_REDIRECTED = (
    TWO_PAIRS
    + """
from labctl.kernel import netlink, redirect
sock = netlink.open_socket()
index = {name: number for number, name in netlink.list_links(sock)}

def do(*messages):
    batch = netlink.Batch(sock)
    for message in messages:
        batch.add(message, 1)
    batch.flush()

do(redirect.add_ingress(index["inb"]), redirect.redirect(index["inb"], index["outa"]))
source, there = tap("ina"), tap("outb")
source.send(frame(1))
print(there.recv(100)[14:18].hex())
"""
)


@pytest.mark.kernel
def test_every_frame_leaves_by_the_other_interface_whatever_it_is() -> None:
    code = """
for size in (14, 60, 1514, 9014):
    source.send(frame(2, size) if size > 18 else frame(2)[:14])
    print(len(there.recv(20000)))
"""
    assert run_in_namespace(_REDIRECTED + code).split() == ["00000001", "14", "60", "1514", "9014"]


@pytest.mark.kernel
def test_a_changed_redirect_leaves_one_filter() -> None:
    code = """
subprocess.run("ip link add othera type veth peer name otherb".split(), check=True)
for end in ("othera", "otherb"):
    subprocess.run(["ip", "link", "set", end, "up", "arp", "off"], check=True)
index = {name: number for number, name in netlink.list_links(sock)}
other = tap("otherb")
do(redirect.redirect(index["inb"], index["othera"]))
source.send(frame(2))
print(other.recv(100)[14:18].hex())
there.settimeout(0.1)
try:
    print("twice", there.recv(100))
except TimeoutError:
    pass
shown = subprocess.run("tc filter show dev inb ingress".split(), check=True, capture_output=True)
print(shown.stdout.decode().count("mirred"))
"""
    assert run_in_namespace(_REDIRECTED + code).split() == ["00000001", "00000002", "1"]
