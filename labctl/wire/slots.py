"""``slot``: packets that are due wait until a slot opens, and leave together."""

from heapq import heappop

from labctl.topology.impairment import Slot
from labctl.wire.chance import Stream
from labctl.wire.variation import varied

Waiting = list[tuple[int, int, bytes]]


class Slots:
    """When packets may leave: in the slot that opens a random time after one was needed.

    A slot is needed as soon as the first waiting packet is due after the last slot opened, or as soon
    as that slot is full. It lets out all that are due when it opens and until then.
    """

    def __init__(self, slot: Slot, stream: Stream) -> None:
        self.open_ns = -1
        """When the last slot opened, or the next one opens."""
        self._most_packets = slot.packets
        self._most_bytes = slot.bytes
        self._packets = 0
        self._bytes = 0
        if slot.distribution is not None:
            self._interval_ns = varied(
                slot.distribution, slot.delay_ns, slot.jitter_ns, 0.0, stream
            )
        else:
            self._interval_ns = lambda: slot.min_ns + stream.below(slot.max_ns - slot.min_ns + 1)

    def release(self, waiting: Waiting, now_ns: int, ready: list[bytes]) -> None:
        """Move what has left by now from ``waiting`` to ``ready``."""
        while waiting:
            due_ns = max(waiting[0][0], self.open_ns)
            if due_ns > now_ns:
                return
            if self.open_ns < waiting[0][0]:
                self._begin(due_ns)
                continue
            packet = heappop(waiting)[2]
            ready.append(packet)
            self._packets += 1
            self._bytes += len(packet)
            if self._is_full():
                self._begin(due_ns)
            self.look_at(waiting, due_ns)

    def look_at(self, waiting: Waiting, now_ns: int) -> None:
        """Ask for a slot if the first packet needs one."""
        if waiting and self.open_ns < waiting[0][0]:
            self._begin(now_ns)

    def _begin(self, now_ns: int) -> None:
        self.open_ns = now_ns + max(self._interval_ns(), 0)
        self._packets = self._bytes = 0

    def _is_full(self) -> bool:
        return 0 < self._most_packets <= self._packets or 0 < self._most_bytes <= self._bytes
