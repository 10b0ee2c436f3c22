"""The packed messages, and what the kernel says to them in a namespace of the test's own."""

import os
import struct
import subprocess
import sys

import pytest

from labctl.kernel import netlink


def test_a_message_says_how_long_it_is() -> None:
    for message in (
        netlink.set_up(1),
        netlink.add_address(2, "10.0.0.1/24"),
        netlink.add_route("default", "10.0.0.9"),
        netlink.create_bridge("br0", 2),
        netlink.create_veth(("e", 2, "02:00:00:00:00:01", 9000), ("f", 2, "", 9000), 5),
    ):
        assert struct.unpack_from("I", message) == (len(message),)


def test_attributes_are_padded_to_four_bytes_and_read_back() -> None:
    packed = netlink.attribute(3, b"eth0\0") + netlink.attribute(4, b"\1\2\3\4")
    assert len(packed) % 4 == 0
    assert list(netlink.attributes(packed, 0)) == [(3, b"eth0\0"), (4, b"\1\2\3\4")]


def test_attributes_end_at_one_that_cannot_be() -> None:
    assert list(netlink.attributes(b"\0\0\0\0\0\0\0\0", 0)) == []


def test_an_address_gets_the_broadcast_address_of_its_subnet() -> None:
    assert dict(netlink.attributes(netlink.add_address(2, "10.0.1.2/22"), 24))[4] == bytes(
        (10, 0, 3, 255)
    )


def test_a_point_to_point_subnet_has_no_broadcast_address() -> None:
    assert 4 not in dict(netlink.attributes(netlink.add_address(2, "10.0.0.0/31"), 24))


def run_in_namespace(code: str) -> str:
    """Run Python code in a fresh user and network namespace, and return what it prints."""
    command = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.kernel
def test_the_kernel_takes_a_batch_and_only_the_last_message_is_acknowledged() -> None:
    code = """
from labctl.kernel import netlink
sock = netlink.open_socket()
batch = netlink.Batch(sock)
batch.add(netlink.set_up(1), 1)
batch.add(netlink.create_bridge("br0", 5), 2)
batch.add(netlink.add_address(5, "10.0.0.1/24"), 3)
batch.flush()
batch.flush()
print(netlink.list_links(sock))
sock.setblocking(False)
try:
    sock.recv(1)
except BlockingIOError:
    print("nothing more")
"""
    assert run_in_namespace(code).splitlines() == ["[(1, 'lo'), (5, 'br0')]", "nothing more"]


@pytest.mark.kernel
def test_a_refused_message_is_named_with_the_kernels_own_words() -> None:
    code = """
from labctl.kernel import netlink
batch = netlink.Batch(netlink.open_socket())
batch.add(netlink.set_up(1), 7)
batch.add(netlink.add_route("default", "10.0.0.1"), 8)
batch.add(netlink.set_up(1), 9)
try:
    batch.flush()
except netlink.NetlinkError as error:
    print(error.position, error.errno, error.strerror)
"""
    position, number, text = run_in_namespace(code).split(" ", 2)
    assert (position, number) == ("8", "101")
    assert text.strip()


@pytest.mark.kernel
def test_a_batch_larger_than_a_socket_buffer_is_sent_in_parts() -> None:
    code = """
from labctl.kernel import netlink
sock = netlink.open_socket()
batch = netlink.Batch(sock)
batch.add(netlink.create_bridge("br0", 5), 1)
for number in range(6000):
    batch.add(netlink.add_address(5, f"10.{number // 250}.{number % 250}.1/24"), number + 2)
batch.flush()
request = netlink.message(netlink.RTM_GETADDR, netlink.NLM_F_DUMP, bytes(8))
print(sum(body[0] == 2 for _, body in netlink.dump(sock, request)))
"""
    assert run_in_namespace(code) == "6000\n"
