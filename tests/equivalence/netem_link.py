"""netem as a link under test: a veth link between two namespaces, on a kernel that has it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from labctl.kernel import netlink, qdisc
from labctl.topology.impairment import Delay, Impairment
from labctl.topology.impairment_words import parse_impairment
from tests.equivalence.kernel_link import Counts, KernelLink, Tap
from tests.kernel.netem_link import IFINDEX, Link, inside, link

_INTERFACE = "veth0"


class NetemLink(KernelLink):
    """What leaves the near end."""

    name = "netem"

    def __init__(self, ends: Link) -> None:
        self._ends = ends
        self._far_netlink = inside(ends.far, netlink.open_socket)
        self._control_ns = 0

        def tap(netns: str, *, hears_outgoing: bool = False) -> Tap:
            sock = inside(netns, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
            return Tap(sock, _INTERFACE, hears_outgoing=hears_outgoing)

        super().__init__(tap(ends.near), tap(ends.far), lambda: tap(ends.near, hears_outgoing=True))

    def renew(self, words: str) -> None:
        """Take the queueing discipline away and put a new one there."""
        self._ends.clear()
        self._ends.add(parse_impairment(words.split()))

    def change(self, words: str) -> None:
        """Change the queueing discipline."""
        self._ends.replace(parse_impairment(words.split()))

    def control(self, delay_ns: int) -> None:
        """Put netem on the far end too."""
        if delay_ns != self._control_ns:
            batch = netlink.Batch(self._far_netlink)
            impairment = Impairment(Delay(delay_ns) if delay_ns else None, limit=100_000)
            batch.add(qdisc.replace(IFINDEX, impairment), 1)
            batch.flush()
            self._control_ns = delay_ns

    def counts(self) -> Counts:
        """Ask the kernel, which has seen a frame when it is sent."""
        counted = self._ends.statistics
        come_out = counted.sent_packets + counted.waiting_packets
        return Counts(self.offered, come_out, counted.dropped)

    def close(self) -> None:
        """Close the sockets, which would keep the namespaces alive."""
        super().close()
        self._far_netlink.close()


@contextmanager
def netem_link() -> Iterator[NetemLink]:
    """Have a link for the length of a ``with`` block."""
    with link() as ends:
        made = NetemLink(ends)
        try:
            yield made
        finally:
            made.close()
