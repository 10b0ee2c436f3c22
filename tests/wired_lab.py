"""A rootless lab of two hosts and one wired link, with sockets of the test's own inside."""

import os
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from labctl.impairing import FATES, Impairer, running_topology
from labctl.kernel.control import Control
from labctl.kernel.processes import host_pid
from labctl.kernel.state import open_process, start_time, wait_ended
from labctl.kernel.wire import HIDDEN
from labctl.lab import up
from labctl.plan.backend import Impairments
from labctl.running import open_lab
from labctl.teardown import down
from labctl.topology.cache import load_topology
from labctl.topology.directions import Direction, all_directions, directions_from
from labctl.topology.impairment_words import parse_impairment
from labctl.topology.model import Topology
from labctl.topology.rule_directions import place_rules
from labctl.topology.rule_file import rules_from
from labctl.wire.client import EMULATOR
from labctl.wire.fates import FateEntry, parse_fates
from tests.limits import LIMIT_S
from tests.owners import unique_name

A4, B4 = "10.0.0.1", "10.0.0.2"
A6, B6 = "fd00::1", "fd00::2"

_ETH_P_MARK = 0x88B5  # for local experiments (IEEE 802): no rule of a test matches it

_LAB = f"""
name: {{name}}
nodes: {{{{a: {{{{}}}}, b: {{{{}}}}, c: {{{{}}}}}}}}
links:
  - {{{{endpoints: ["a:eth0", "b:eth0"], ipv4: [{A4}/24, {B4}/24], ipv6: [{A6}/64, {B6}/64], mtu: 9000}}}}
  - {{{{endpoints: ["b:eth1", "c:eth0"], ipv4: [10.0.1.1/24, 10.0.1.2/24]}}}}
"""


def all_until_quiet(receiver: socket.socket, quiet_s: float) -> list[bytes]:
    """Return every datagram that is there, and that comes until none has for so long."""
    found: list[bytes] = []
    receiver.settimeout(quiet_s)
    while True:
        try:
            found.append(receiver.recv(65536))
        except (BlockingIOError, TimeoutError):
            receiver.settimeout(LIMIT_S)
            return found


class WiredLab:
    """The lab while it is up."""

    def __init__(self, topology: Topology) -> None:
        self.lab = open_lab(topology.name)
        self.name = topology.name
        self.topology = running_topology(self.lab)
        self.control = Control(self.lab.state)
        self._sockets: list[socket.socket] = []

    def open(self, node: str, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """Return a socket in a node; no call on it takes longer than a test may."""
        sock = self.control.open_socket(self.lab.netns(node), family, kind, protocol)
        sock.settimeout(LIMIT_S)
        self._sockets.append(sock)
        return sock

    def open_hidden(self, interface: str) -> socket.socket:
        """Return a packet socket at a hidden interface."""
        sock = self.control.open_socket(HIDDEN, socket.AF_PACKET, socket.SOCK_RAW)
        sock.bind((interface, 3))  # ETH_P_ALL
        sock.settimeout(LIMIT_S)
        self._sockets.append(sock)
        return sock

    def receiver(self, node: str, address: tuple[str, int], kind: int) -> socket.socket:
        """Return a socket in a node that is bound to an address."""
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = self.open(node, family, kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        return sock

    def udp(self, source: str, target: str) -> tuple[socket.socket, socket.socket]:
        """Return a sender in ``a`` that is connected, and its receiver in ``b``."""
        receiver = self.receiver("b", (target, 0), socket.SOCK_DGRAM)
        sender = self.receiver("a", (source, 0), socket.SOCK_DGRAM)
        sender.connect(receiver.getsockname())
        return sender, receiver

    def ping(self) -> None:
        """Have ``b`` answer ``a``, which knows its neighbour then: what waits for that overtakes."""
        ping = self.open("a", socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        ping.connect((B4, 0))
        ping.send(bytes.fromhex("0800f7ff00000000"))
        ping.recv(100)

    def arrived(self, receiver: socket.socket) -> list[bytes]:
        """Return every datagram for ``receiver`` in ``b`` that ``a`` has sent and is not lost.

        A frame is sent behind them, and none of a wired link overtakes another but where a rule or
        words say so. ``a`` has to know its neighbour: the frame waits for no address.
        """
        mark = bytes(12) + _ETH_P_MARK.to_bytes(2) + os.urandom(46)
        tap = self.open("b", socket.AF_PACKET, socket.SOCK_RAW)
        tap.bind(("eth0", _ETH_P_MARK))
        sender = self.open("a", socket.AF_PACKET, socket.SOCK_RAW)
        sender.bind(("eth0", 0))
        sender.send(mark)
        while tap.recv(100) != mark:
            pass
        return all_until_quiet(receiver, 0)

    def impair(self, place: str, words: str) -> None:
        """Do what ``labctl impair`` does with these words."""
        Impairer(self.lab).impair(self.directions(place), parse_impairment(words.split()))

    def clear(self) -> None:
        """Make every link good again."""
        Impairer(self.lab).clear(all_directions(self.topology))

    def arm(self, direction: str, *rules: Mapping[str, object], seed: int = 1) -> None:
        """Do what ``labctl impair --rules`` does with a file like this."""
        file = rules_from({"seed": seed, direction: list(rules)})
        placed = {
            Direction(each.link, self.topology.links[each.link], each.is_from_left): each.rules
            for each in place_rules(file, self.topology)
        }
        Impairer(self.lab).arm(placed, seed)

    def directions(self, place: str) -> list[Direction]:
        """Return what a place on the command line means."""
        return directions_from(self.topology, place)

    def shown(self, place: str) -> dict[str, object]:
        """Return what ``--show`` says of one direction."""
        [direction] = self.directions(place)
        [found] = [
            each for each in Impairer(self.lab).show() if each["direction"] == direction.name
        ]
        return found

    def counters(self, place: str) -> dict[str, int]:
        """Return the counters of one direction."""
        counters = self.shown(place)["counters"]
        assert isinstance(counters, dict)
        return counters

    def fates(self) -> list[FateEntry]:
        """Return the fate log, all of it."""
        entries, is_complete = parse_fates(Path(self.lab.state.file(FATES)).read_text())
        assert is_complete
        return entries

    def emulator_pid(self) -> int:
        """Return the process id of the emulator, as this machine numbers it."""
        [emulator] = [
            each for each in self.control.programs() if each.name == EMULATOR and each.ended is None
        ]
        pid = host_pid(self.lab.holder.pid, emulator.pid)
        assert pid is not None
        return pid

    def kill_emulator(self) -> None:
        """End the emulator as ``kill -9`` does, and wait until the holder knows."""
        pid = self.emulator_pid()
        pidfd = open_process(pid, start_time(pid))
        assert pidfd is not None
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        assert wait_ended(pidfd, LIMIT_S)
        os.close(pidfd)
        assert self.control.wait(EMULATOR, LIMIT_S) is not None

    def close(self) -> None:
        """Close what the test opened."""
        for sock in self._sockets:
            sock.close()
        os.close(self.lab.pidfd)


@contextmanager
def wired_lab(folder: Path, impairments: Impairments = "wire") -> Iterator[WiredLab]:
    """Have the lab up for the length of a ``with`` block, its links built as that says."""
    name = unique_name()
    path = folder / f"{name}.yaml"
    path.write_text(_LAB.format(name=name))
    topology = load_topology(str(path), {})
    up(topology, str(path), is_rootless=True, impairments=impairments)
    try:
        wired = WiredLab(topology)
        try:
            yield wired
        finally:
            wired.close()
    finally:
        down(name)
