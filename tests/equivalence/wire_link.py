"""The wire as a link under test: a rootless lab of two nodes whose link is led through the emulator."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from labctl.impairing import Impairer, running_topology
from labctl.kernel.control import Control
from labctl.lab import RunningLab, open_lab
from labctl.topology.directions import Direction, directions_from
from labctl.topology.impairment_words import parse_impairment
from tests.cli.commands import Labctl
from tests.equivalence.kernel_link import Counts, KernelLink, Tap

# IPv6 off: what a node says by itself would have its share in the link's choices.
_LAB = """
name: pair
nodes:
  client: {sysctls: {net.ipv6.conf.default.disable_ipv6: 1}}
  server: {sysctls: {net.ipv6.conf.default.disable_ipv6: 1}}
links:
  - endpoints: [client, server]
    ipv4: 10.0.0.0/24
"""


class WireLink(KernelLink):
    """What ``client`` sends to ``server``."""

    name = "wire"

    def __init__(self, lab: RunningLab) -> None:
        self._impairer = Impairer(lab)
        topology = running_topology(lab)
        [self._there] = directions_from(topology, "client")
        [self._back] = directions_from(topology, "server")
        self._control_ns = 0
        self._missed_back = 0
        control = Control(lab.state)

        def tap(direction: Direction, *, hears_outgoing: bool = False) -> Tap:
            end = direction.source
            sock = control.open_socket(lab.netns(end.node), socket.AF_PACKET, socket.SOCK_RAW)
            return Tap(sock, end.interface, hears_outgoing=hears_outgoing)

        super().__init__(
            tap(self._there), tap(self._back), lambda: tap(self._there, hears_outgoing=True)
        )

    def renew(self, words: str) -> None:
        """Let go of the channel and take a new one."""
        self._impairer.clear([self._there])
        self.change(words)
        self._missed_back = self._missed(self._back)

    def change(self, words: str) -> None:
        """Change the channel."""
        self._impairer.impair([self._there], parse_impairment(words.split()))

    def control(self, delay_ns: int) -> None:
        """Give the other direction a channel of its own."""
        if delay_ns != self._control_ns:
            words = f"limit 100000 delay {delay_ns}ns" if delay_ns else ""
            self._impairer.impair([self._back], parse_impairment(words.split()))
            self._control_ns = delay_ns

    def counts(self) -> Counts:
        """Ask the emulator."""
        counted = self._counters(self._there)
        assert counted, "the link is not impaired"
        dropped = counted["lost"] + counted["overrun"]
        return Counts(counted["seen"], counted["seen"] + counted["duplicated"] - dropped, dropped)

    def flaw(self) -> str:
        """The emulator is slower than the kernel."""
        missed = self._missed(self._there) + self._missed(self._back) - self._missed_back
        return f"{missed} frames came faster than the emulator read them" if missed else ""

    def _missed(self, direction: Direction) -> int:
        return self._counters(direction).get("socket_overruns", 0)

    def _counters(self, direction: Direction) -> Mapping[str, int]:
        for shown in self._impairer.show():
            if shown["direction"] == direction.name:
                counters = shown["counters"]
                assert isinstance(counters, dict)
                return counters
        return {}


@contextmanager
def wire_link(folder: Path) -> Iterator[WireLink]:
    """Have a lab up for the length of a ``with`` block."""
    labctl = Labctl(folder)
    path = labctl.write("pair.yaml", _LAB)
    with labctl.lab(path, "--rootless", "--impairments", "wire") as name:
        link = WireLink(open_lab(name))
        try:
            yield link
        finally:
            link.close()
