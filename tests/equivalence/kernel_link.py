"""What the wire and netem have in common: frames through packet sockets of a real kernel."""

import errno
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from tests.equivalence.exchange import MS, ON_TIME, Lateness, Pace, Run
from tests.equivalence.frames import SMALLEST, Arrival, frame, number_of

_ETH_P_ALL = 3
_SOL_PACKET, _PACKET_STATISTICS, _PACKET_IGNORE_OUTGOING = 263, 6, 23
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
"""Its answers have the same number (socket(7))."""
_TIMESPEC = "ll"

_BUFFER_BYTES = 32 << 20
_LIMIT_S = 15.0
_CONTROL_SIZE = SMALLEST + 1


class Tap:
    """A packet socket at one end of a link: sends frames, and hears those that arrive."""

    def __init__(
        self, sock: socket.socket, interface: str, *, hears_outgoing: bool = False
    ) -> None:
        """``sock`` is a raw packet socket of protocol 0 in the namespace of the interface."""
        self.sock = sock
        sock.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, not hears_outgoing)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        except PermissionError:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        sock.bind((interface, _ETH_P_ALL))

    def heard(self) -> Iterator[tuple[int, bytes]]:
        """Give what has arrived: the kernel's time of day, and the frame."""
        while True:
            try:
                data, ancillary, _, _ = self.sock.recvmsg(65536, 100, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            if len(data) >= SMALLEST:
                [(_, _, stamp)] = ancillary
                seconds, nanoseconds = struct.unpack(_TIMESPEC, stamp)
                yield seconds * 1_000_000_000 + nanoseconds, data

    def missed(self) -> int:
        """Return how many frames found no room here since the last call."""
        statistics = self.sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        return int(struct.unpack("II", statistics)[1])


class Counts(NamedTuple):
    """What a link has counted."""

    seen: int
    come_out: int
    """With those that are still to come, and copies."""
    dropped: int


class KernelLink:
    """A link between two taps; the near one sends what is tested, the far one the control frames."""

    name: str

    def __init__(self, near: Tap, far: Tap, open_witness: Callable[[], Tap]) -> None:
        self.near, self.far = near, far
        self.open_witness = open_witness
        """Gives a tap at the near end that hears what leaves there, as tcpdump would."""
        self.offered = 0
        """Frames that were sent from the near end."""
        self._poll = select.poll()
        self._poll.register(near.sock, select.POLLIN)
        self._poll.register(far.sock, select.POLLIN)

    def renew(self, words: str) -> None:
        """Make the link as bad as that, with no memory of what passed before."""
        raise NotImplementedError

    def change(self, words: str) -> None:
        """Make it as bad as that while it goes on."""
        raise NotImplementedError

    def control(self, delay_ns: int) -> None:
        """Give the other direction this delay and nothing else; 0 for none."""
        raise NotImplementedError

    def counts(self) -> Counts:
        """Return what the link itself has counted since ``renew``."""
        raise NotImplementedError

    def flaw(self) -> str:
        """Return why nothing can be said about what was sent since ``renew``."""
        return ""

    def carry(
        self, frames: Sequence[bytes], pace: Pace, *, awaited: int | None, control_ns: int
    ) -> Run:
        """Send frames at this pace, and wait for all that will arrive."""
        self.control(control_ns)
        for tap in (self.near, self.far):
            list(tap.heard())
            tap.missed()
        before = self.counts()
        carry = _Carry(self, frames, pace, awaited, control_ns)
        clock_ns = time.time_ns() - time.monotonic_ns()
        carry.run()
        flaw = self.flaw()
        if abs(time.time_ns() - time.monotonic_ns() - clock_ns) > MS:
            flaw = "the clock of the machine was set"
        elif self.near.missed() or self.far.missed():
            flaw = "frames arrived faster than they were read"
        assert flaw or carry.is_complete(), (
            f"of {len(frames)} frames {len(carry.arrivals)} arrived; "
            f"the link says {self.counts()}, before it was {before}"
        )
        return Run(
            carry.sent_ns,
            carry.arrivals,
            self.counts().dropped - before.dropped,
            carry.refused,
            carry.lateness(),
            flaw,
        )

    def wait(self, until_ns: int) -> None:
        """Wait until a frame arrives, at most until then."""
        left_ns = until_ns - time.monotonic_ns()
        self._poll.poll(max(left_ns, 0) / MS)

    def close(self) -> None:
        """Close the sockets."""
        self.near.sock.close()
        self.far.sock.close()


class _Carry:
    """One run."""

    def __init__(
        self,
        link: KernelLink,
        frames: Sequence[bytes],
        pace: Pace,
        awaited: int | None,
        control_ns: int,
    ) -> None:
        self.sent_ns: list[int] = []
        self.arrivals: list[Arrival] = []
        self.refused = 0
        self._link = link
        self._frames = frames
        self._pace = pace
        self._awaited = awaited
        self._before = link.counts()
        self._control_ns = control_ns
        self._controls_sent_ns: list[int] = []
        self._controls: list[tuple[int, int]] = []
        self._sending_ns: list[int] = []

    def run(self) -> None:
        """Send all, and hear all that comes in time."""
        pace = self._pace
        moment_ns = time.monotonic_ns()
        for first in range(0, len(self._frames), pace.at_once):
            for data in self._frames[first : first + pace.at_once]:
                self._send(data)
            moment_ns = self._pause(moment_ns)
        end_ns = time.monotonic_ns() + int(_LIMIT_S * 1e9)
        while not self._has_all_frames() and moment_ns < end_ns:
            moment_ns = self._pause(moment_ns)
        # Every control frame is one more look at how late the machine is, and none is left for the
        # next run.
        end_ns = time.monotonic_ns() + int(_LIMIT_S * 1e9)
        while not self._has_all_controls() and time.monotonic_ns() < end_ns:
            self._link.wait(end_ns)
            self._hear()

    def is_complete(self) -> bool:
        """Whether all have come."""
        return self._has_all_frames() and self._has_all_controls()

    def lateness(self) -> Lateness:
        """Return how late the machine was."""
        if not self._control_ns:
            return ON_TIME
        return Lateness(self._controls, self._control_ns, self._pace.every_ns, self._sending_ns)

    def _send(self, data: bytes) -> None:
        before_ns = time.time_ns()
        self.sent_ns.append(before_ns)
        self._link.offered += 1
        try:
            self._link.near.sock.send(data)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            self.refused += 1
        self._sending_ns.append(time.time_ns() - before_ns)

    def _pause(self, moment_ns: int) -> int:
        """Send a control frame, and listen until it is time to send again."""
        if self._control_ns:
            self._controls_sent_ns.append(time.time_ns())
            self._link.far.sock.send(frame(len(self._controls_sent_ns) - 1, _CONTROL_SIZE))
        # Where the machine was late, the pace begins anew: no crowd of frames makes up for it.
        moment_ns = max(moment_ns + self._pace.every_ns, time.monotonic_ns())
        self._hear()
        while time.monotonic_ns() < moment_ns:
            self._link.wait(moment_ns)
            self._hear()
        return moment_ns

    def _hear(self) -> None:
        for at_ns, data in self._link.far.heard():
            number = number_of(data)
            # A damaged number is nobody's; the tests of damage go by the order.
            sent_ns = self.sent_ns[number] if number < len(self.sent_ns) else at_ns
            self.arrivals.append(Arrival(number, sent_ns, at_ns, data))
        for at_ns, data in self._link.near.heard():
            if len(data) == _CONTROL_SIZE:
                self._controls.append((self._controls_sent_ns[number_of(data)], at_ns))

    def _has_all_controls(self) -> bool:
        return len(self._controls) == len(self._controls_sent_ns)

    def _has_all_frames(self) -> bool:
        if self._awaited is not None:
            return len(self.arrivals) >= self._awaited
        if self._link.flaw():
            return True
        now = self._link.counts()
        if now.seen - self._before.seen < len(self._frames):
            return False
        return len(self.arrivals) == now.come_out - self._before.come_out
