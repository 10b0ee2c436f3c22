"""One direction of a bad link: packets go in, and come out as tc-netem(8) would let them out.

Nothing here knows a clock or a socket. Time is passed in, in nanoseconds of any clock that does not
go back, and every choice is made by ``labctl.wire.chance``.

What a packet meets, in this order, was measured on netem:

* It may be duplicated, and it may be lost, each on its own. Lost and duplicated, it is sent once. A
  copy may be lost in its turn, and is corrupted and delayed on its own.
* Corruption flips one bit anywhere in the frame, addresses of the Ethernet header included.
* Where ``limit`` packets wait already, it is dropped, even one that would not have waited.
* ``reorder`` sends it at once. Every other one is sent after its delay, and with a rate not before
  the last one of these is through, plus the time that the rate gives its length.
* ``slot`` opens now and then, and only then lets out what is due.

What only netem can mean:

* A packet over the limit is an error (``ENOBUFS``) to the program that sends it. The wire sits
  behind the node's interface: what it drops has been sent.
* For the same reason tcpdump in the sending node shows packets that the wire drops, and shows delayed
  ones before their delay. With netem it sees none of the former, and the latter after their delay.
* netem's own random sequence: ``seed`` repeats the same run on the same backend, not across both.
* Rates beyond what user space can carry: ``labctl.topology.impairment_limits`` refuses those.
"""

from collections.abc import Callable
from heapq import heappop, heappush

from labctl.topology.impairment import Delay, Impairment, Rate
from labctl.wire.chance import Stream, loss_odds, odds
from labctl.wire.congestion import marked_frame
from labctl.wire.slots import Slots
from labctl.wire.variation import varied

_LOSS, _DUPLICATE, _CORRUPT, _CORRUPT_WHERE, _DELAY, _REORDER, _SLOT = range(7)
_STREAMS = 7


class Channel:
    """One direction of a link."""

    def __init__(self, impairment: Impairment, seed: int) -> None:
        """``seed`` decides all choices, unless the impairment has one of its own."""
        self.seen = 0
        self.seen_bytes = 0
        self.lost = 0
        self.marked = 0
        """Packets with the congestion mark set instead of being lost."""
        self.delayed = 0
        self.duplicated = 0
        self.corrupted = 0
        self.reordered = 0
        """Packets that ``reorder`` sent at once, not all that overtook another."""
        self.overrun = 0
        """Packets dropped because ``limit`` others were waiting."""
        self._streams = _streams(seed)
        self._ready: list[bytes] = []
        self._ready_ns = 0
        self._waiting: list[tuple[int, int, bytes]] = []
        """A heap of release time, sequence and packet."""
        self._sequence = 0
        self._busy_until_ns = 0
        self.replace(impairment)

    def replace(self, impairment: Impairment) -> None:
        """Change what happens to packets from now on; those in flight arrive at their time.

        As with netem, what was remembered of earlier packets is forgotten: the state of a loss model,
        correlations, the count to a gap.
        """
        if impairment.seed is not None:
            self._streams = _streams(impairment.seed)
        streams = self._streams
        self._loss = loss_odds(impairment.loss, streams[_LOSS])
        self._ecn = impairment.ecn
        duplicate, corrupt, reorder = impairment.duplicate, impairment.corrupt, impairment.reorder
        self._duplicate = duplicate and odds(*duplicate, streams[_DUPLICATE])
        self._corrupt = corrupt and odds(*corrupt, streams[_CORRUPT])
        self._reorder = reorder and odds(
            reorder.probability, reorder.correlation, streams[_REORDER]
        )
        self._gap = reorder.gap if reorder else 1
        self._since_reorder = 0
        delay = impairment.delay or Delay(0)
        self._delay_ns = delay.time_ns
        self._varied_delay_ns = _varied_delay(delay, streams[_DELAY])
        self._rate = impairment.rate
        self._slots = impairment.slot and Slots(impairment.slot, streams[_SLOT])
        self._limit = impairment.limit
        self._passes_at_once = not (
            impairment.delay or impairment.rate or impairment.slot or impairment.reorder
        )

    def send(self, packet: bytes, now_ns: int) -> None:
        """Take a packet in; what comes of it comes out of ``receive``."""
        self.seen += 1
        self.seen_bytes += len(packet)
        copied = self._duplicate is not None and self._duplicate.happens()
        if self._loss is not None and self._loss.happens():
            marked = marked_frame(packet) if self._ecn else None
            if marked is not None:
                packet = marked
                self.marked += 1
            elif copied:
                copied = False
            else:
                self.lost += 1
                return
        if copied:
            self._send_twice(packet, now_ns)
            return
        if self._corrupt is not None and self._corrupt.happens():
            packet = self._corrupted(packet)
        if self._passes_at_once and not self._waiting:
            self._ready.append(packet)
            self._ready_ns = now_ns
        elif self._is_full(now_ns):
            self.overrun += 1
        else:
            self._place(packet, now_ns)

    def receive(self, now_ns: int) -> list[bytes]:
        """Return all that have arrived by now, first come first."""
        self._release(now_ns)
        arrived = self._ready
        if arrived:
            self._ready = []
        return arrived

    def next_arrival_ns(self) -> int | None:
        """Return when to call ``receive`` next, which may be past; None while nothing is in flight."""
        if self._ready:
            return self._ready_ns
        if not self._waiting:
            return None
        first_ns = self._waiting[0][0]
        return first_ns if self._slots is None else max(first_ns, self._slots.open_ns)

    def _release(self, now_ns: int) -> None:
        """Let go of what is due, for ``receive`` to return."""
        waiting = self._waiting
        if self._slots is not None:
            self._slots.release(waiting, now_ns, self._ready)
        else:
            while waiting and waiting[0][0] <= now_ns:
                self._ready.append(heappop(waiting)[2])

    def _is_full(self, now_ns: int) -> bool:
        """Whether ``limit`` packets wait. One that is due does not, received or not."""
        if len(self._waiting) < self._limit:
            return False
        self._release(now_ns)
        if self._ready:
            self._ready_ns = now_ns
        return len(self._waiting) >= self._limit

    def _send_twice(self, packet: bytes, now_ns: int) -> None:
        """Send a packet and, before it, a copy, which has its own luck."""
        original = packet
        copy: bytes | None = packet
        if self._corrupt is not None and self._corrupt.happens():
            packet = self._corrupted(packet)
        if self._is_full(now_ns):
            self.overrun += 1
            return
        self.duplicated += 1
        if self._loss is not None and self._loss.happens():
            copy = marked_frame(original) if self._ecn else None
            if copy is None:
                self.lost += 1
            else:
                self.marked += 1
        if copy is not None:
            if self._corrupt is not None and self._corrupt.happens():
                copy = self._corrupted(copy)
            self._place(copy, now_ns)
        # netem looks at the limit once for both, so the pair may exceed it by one.
        self._place(packet, now_ns)

    def _place(self, packet: bytes, now_ns: int) -> None:
        """Decide when the packet is released."""
        release_ns = now_ns
        if (
            self._reorder is not None
            and self._since_reorder >= self._gap - 1
            and self._reorder.happens()
        ):
            self._since_reorder = 0
            self.reordered += 1
        else:
            self._since_reorder += 1
            if self._varied_delay_ns is None:
                release_ns += self._delay_ns
            else:
                release_ns = max(now_ns, now_ns + self._varied_delay_ns())
            if self._rate is not None:
                release_ns = max(release_ns, self._busy_until_ns) + _time_on_wire_ns(
                    self._rate, len(packet)
                )
                self._busy_until_ns = release_ns
            if release_ns > now_ns:
                self.delayed += 1
        if release_ns == now_ns and not self._waiting and self._slots is None:
            self._ready.append(packet)
            self._ready_ns = now_ns
            return
        if self._slots is not None:
            self._slots.release(self._waiting, now_ns, self._ready)
            self._ready_ns = now_ns
        self._sequence += 1
        heappush(self._waiting, (release_ns, self._sequence, packet))
        if self._slots is not None:
            self._slots.look_at(self._waiting, now_ns)

    def _corrupted(self, packet: bytes) -> bytes:
        """Return the packet with one bit flipped, each as likely."""
        if not packet:
            return packet
        self.corrupted += 1
        bit = self._streams[_CORRUPT_WHERE].below(8 * len(packet))
        flipped = bytearray(packet)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        return bytes(flipped)


def _streams(seed: int) -> list[Stream]:
    return [Stream(seed, number) for number in range(_STREAMS)]


def _varied_delay(delay: Delay, stream: Stream) -> Callable[[], int] | None:
    """Return what draws the delay of each packet, below zero at times; None where all are the same."""
    if not delay.jitter_ns:
        return None
    return varied(delay.distribution, delay.time_ns, delay.jitter_ns, delay.correlation, stream)


def _time_on_wire_ns(rate: Rate, length: int) -> int:
    """Return how long the rate takes for a packet, its overhead and the cells it is cut into."""
    length += rate.packet_overhead
    if rate.cell_size:
        cells = -(-length // rate.cell_size)
        length = cells * (rate.cell_size + rate.cell_overhead)
    return max(length, 0) * 1_000_000_000 // rate.bytes_per_s
