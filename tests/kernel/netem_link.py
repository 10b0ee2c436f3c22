"""A veth link between two namespaces on which nothing moves but what a test sends."""

import functools
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from labctl.kernel import namespaces, netem, netlink, qdisc
from labctl.topology.distributions import distribution_table
from labctl.topology.impairment import Impairment

T = TypeVar("T")

PORT = 7000
IFINDEX = 10
"""Of both ends."""

_SETTINGS = f"""
link add veth0 index {IFINDEX} netns NEAR address 02:00:00:00:00:01 type veth
    peer name veth0 index {IFINDEX} netns FAR address 02:00:00:00:00:02
-n NEAR address add 10.9.0.1/30 dev veth0
-n FAR address add 10.9.0.2/30 dev veth0
-n NEAR neighbour add 10.9.0.2 lladdr 02:00:00:00:00:02 dev veth0 nud permanent
-n FAR neighbour add 10.9.0.1 lladdr 02:00:00:00:00:01 dev veth0 nud permanent
-n NEAR link set veth0 up
-n FAR link set veth0 up
""".replace("veth\n    peer", "veth peer")


@functools.cache
def why_no_netem() -> str:
    """Return why netem cannot be tested here, or nothing."""
    if os.geteuid() != 0:
        return "only root can put netem between two network namespaces of the machine"
    command = ["unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", "netem"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"no netem in this kernel ({done.stderr.strip()})"


class Arrival(NamedTuple):
    """A datagram that came out of the link."""

    number: int
    after_s: float
    """Since the first one was sent."""


class Link:
    """The near end is the one that gets worse; datagrams go from near to far."""

    def __init__(self, near: str, far: str) -> None:
        self.near, self.far = near, far
        self.netlink = inside(near, netlink.open_socket)
        self.sender = inside(near, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.receiver = inside(far, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.receiver.bind(("10.9.0.2", PORT))
        self.sender.connect(("10.9.0.2", PORT))

    def send_message(self, message: bytes) -> None:
        """Send a message about queueing disciplines to the near end's kernel."""
        batch = netlink.Batch(self.netlink)
        batch.add(message, 1)
        batch.flush()

    def add(self, impairment: Impairment, table: netem.Table = distribution_table) -> None:
        """Put netem on the near end."""
        self.send_message(qdisc.add(IFINDEX, impairment, table))

    def replace(self, impairment: Impairment, table: netem.Table = distribution_table) -> None:
        """Make the near end's netem do this instead."""
        self.send_message(qdisc.replace(IFINDEX, impairment, table))

    def clear(self) -> None:
        """Take netem away if it is there."""
        if self.installed():
            self.send_message(qdisc.delete(IFINDEX))

    def installed(self) -> dict[int, qdisc.InstalledNetem]:
        """Return what is at the near end's interfaces."""
        return qdisc.installed(self.netlink)

    @property
    def statistics(self) -> qdisc.Statistics:
        """What the near end's netem has counted."""
        return self.installed()[IFINDEX].statistics

    def send(self, numbers: Sequence[int], size: int = 100) -> float:
        """Send a datagram for each number; return when the first one was sent."""
        begin = time.monotonic()
        for number in numbers:
            self.sender.send(number.to_bytes(4) + bytes(size - 4))
        return begin

    def arrivals(self, begin: float, *, quiet_s: float) -> list[Arrival]:
        """Return what arrives until nothing has for a while."""
        found: list[Arrival] = []
        self.receiver.settimeout(quiet_s)
        while True:
            try:
                data = self.receiver.recv(65536)
            except TimeoutError:
                return found
            found.append(Arrival(int.from_bytes(data[:4]), time.monotonic() - begin))

    def tc(self, *words: str, tables: Path | None = None) -> str:
        """Run tc(8) at the near end."""
        environment = {**os.environ, **({"TC_LIB_DIR": str(tables)} if tables else {})}
        command = ["tc", "-n", self.near, *words]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, env=environment
        ).stdout

    def close(self) -> None:
        """Close the sockets, which would keep the namespaces alive."""
        for sock in (self.netlink, self.sender, self.receiver):
            sock.close()


def inside(netns: str, action: Callable[[], T]) -> T:
    """Do something in a named namespace, such as making a socket that stays there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{netns}", os.O_RDONLY)
    try:
        namespaces.setns(there, namespaces.CLONE_NEWNET)
        try:
            return action()
        finally:
            namespaces.setns(home, namespaces.CLONE_NEWNET)
    finally:
        os.close(there)
        os.close(home)


@contextmanager
def link() -> Iterator[Link]:
    """Have a link for the length of a ``with`` block."""
    unique = uuid.uuid4().hex[:8]
    names = near, far = f"near-{unique}", f"far-{unique}"
    try:
        for netns in names:
            subprocess.run(["ip", "netns", "add", netns], check=True)
            inside(netns, _switch_ipv6_off)
        settings = _SETTINGS.replace("NEAR", near).replace("FAR", far)
        for line in settings.strip().splitlines():
            subprocess.run(["ip", *line.split()], check=True)
        made = Link(near, far)
        try:
            yield made
        finally:
            made.close()
    finally:
        for netns in names:
            subprocess.run(["ip", "netns", "del", netns], check=False)


def _switch_ipv6_off() -> None:
    # Its own packets, such as router solicitations, would be counted.
    setting = Path("/proc/sys/net/ipv6/conf/default/disable_ipv6")
    setting.write_text("1")
