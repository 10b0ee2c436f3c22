"""CarrierMirror follows interfaces of one namespace in another; both are the test's own here."""

import pytest

from tests.own_namespace import TWO_PAIRS, run_in_namespace

pytestmark = pytest.mark.kernel

_MIRROR = (
    TWO_PAIRS
    + """
import select
from labctl.kernel import netlink
from labctl.kernel.carrier import CarrierMirror
from labctl.kernel.wire import Follower

def open_in(netns):
    return netlink.open_socket()

mirror = CarrierMirror([Follower("node", "ina", "outa")], open_in, netlink.open_socket())
[(fd, follow)] = mirror.sources()

def ip(*words):
    subprocess.run(["ip", *words], check=True)

def is_up(interface):
    words = ["ip", "-o", "link", "show", "up", "dev", interface]
    return bool(subprocess.run(words, check=True, capture_output=True).stdout)

def catch_up():
    while select.select([fd], [], [], 0)[0]:
        follow()
"""
)


def run(code: str) -> list[str]:
    return run_in_namespace(_MIRROR + code).split()


def test_the_hidden_interface_goes_down_and_up_with_the_other() -> None:
    code = """
print(is_up("outa"))
ip("link", "set", "ina", "down")
catch_up()
print(is_up("outa"), is_up("inb"))
ip("link", "set", "ina", "up")
catch_up()
print(is_up("outa"))
"""
    assert run(code) == ["True", "False", "True", "True"]


def test_an_interface_that_was_down_before_is_followed() -> None:
    code = """
ip("link", "set", "ina", "down")
late = CarrierMirror([Follower("node", "ina", "outa")], open_in, netlink.open_socket())
late.catch_up()
print(is_up("outa"))
"""
    assert run(code) == ["False"]


def test_all_that_has_been_announced_is_followed_at_once() -> None:
    code = """
for mtu in range(1400, 1420):
    ip("link", "set", "ina", "mtu", str(mtu))
ip("link", "set", "ina", "down")
mirror.catch_up()
print(is_up("outa"), select.select([fd], [], [], 0)[0])
"""
    assert run(code) == ["False", "[]"]


def test_other_interfaces_are_not_followed() -> None:
    code = """
ip("link", "set", "outb", "down")
ip("link", "set", "inb", "down")
catch_up()
print(is_up("outa"))
"""
    assert run(code) == ["True"]


def test_announcements_that_were_lost_are_asked_for() -> None:
    code = """
import socket as sockets
sock = mirror._sockets["node"]
sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 1)
for _ in range(50):
    ip("link", "set", "ina", "down")
    ip("link", "set", "ina", "up")
ip("link", "set", "ina", "down")
sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 1 << 20)
catch_up()
print(is_up("outa"))
"""
    assert run(code) == ["False"]


def test_an_interface_that_is_deleted_does_no_harm() -> None:
    code = """
ip("link", "set", "ina", "down")
ip("link", "del", "outa")
catch_up()
ip("link", "del", "ina")
catch_up()
print("alive")
"""
    assert run(code) == ["alive"]
