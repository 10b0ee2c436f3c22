"""Captures what every node of a lab sends and receives, into memory."""

import fcntl
import os
import select
import socket
import struct
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Protocol, Self, TypeVar

from labctl.errors import LabError, machine_error
from labctl.kernel.control import Control
from labctl.kernel.packet_ring import Ring
from labctl.kernel.pcap import compile_filter
from labctl.kernel.state import LabState
from labctl.observe.sighting import Sighting as Sighting
from labctl.wait import until

MOST_BYTES = 64 << 20
"""What a capture keeps, unless told otherwise."""

_ETH_P_ALL = 3
_SIOCGIFNAME = 0x8910
_LOOPBACK = "lo"
_SIGHTING_BYTES = 200
"""What Python needs for a sighting besides the frame itself."""

_MOST_RING_BYTES = 4 << 20
_RING_BYTES = 64 << 20
"""What is not read yet has that much room: in one node, and in all together."""

_AT_ONCE = 16
"""Sockets that are made ready, or closed, together: each time the kernel waits some ten milliseconds."""

_NEVER = 1 << 63

_HANDED_OVER_WITHIN_S = 5.0
"""The kernel needs some milliseconds; this long only where the machine stands still."""


_T = TypeVar("_T")


class Lab(Protocol):
    """What is needed of a lab that is up (``labctl.running``)."""

    @property
    def state(self) -> LabState: ...


class _Node:
    """One node's socket and the names of its interfaces."""

    def __init__(self, name: str, sock: socket.socket, ring: Ring) -> None:
        self.name = name
        self.sock = sock
        self.ring = ring
        self.newest_ns = 0
        self._interfaces: dict[int, str] = {}

    def close(self) -> None:
        self.ring.close()
        self.sock.close()

    def interface(self, index: int) -> str:
        if index not in self._interfaces:
            try:
                answer = fcntl.ioctl(self.sock, _SIOCGIFNAME, struct.pack("16xi20x", index))
            except OSError:
                return f"if{index}"  # gone meanwhile
            self._interfaces[index] = answer[:16].rstrip(b"\0").decode(errors="replace")
        return self._interfaces[index]


class Capture:
    """What was on the wire since it was made. What it has is kept when it is closed."""

    def __init__(self, lab: Lab, nodes: Mapping[str, str], *, most_bytes: int = MOST_BYTES) -> None:
        """``nodes`` has the namespace of each node's name, as ``lab.state.nodes()``."""
        self._most_bytes = most_bytes
        self._bytes = 0
        self._not_kept = 0
        self._full_at_ns = _NEVER
        self._overruns = 0
        self._sightings: list[Sighting] = []
        self._is_sorted = True
        self._is_closed = False
        self._lock = threading.Lock()
        self._nodes = _open_nodes(Control(lab.state), nodes)
        self._stop_fd = os.eventfd(0)
        self._thread = threading.Thread(target=self._read, name="capture", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Capture no more; what was captured until now can still be asked for."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._catch_up()
        finally:
            os.eventfd_write(self._stop_fd, 1)
            self._thread.join()
            os.close(self._stop_fd)
            self._count_overruns()
            _all_at_once(_Node.close, self._nodes)
            self._nodes = []

    def sightings(self) -> list[Sighting]:
        """Return every frame up to now, in the order of their times."""
        self._catch_up()
        with self._lock:
            self._settle()
            return list(self._sightings)

    def matching(self, text: str) -> list[Sighting]:
        """Return the sightings of frames that a filter in the language of tcpdump matches.

        Raises ``LabError`` where it does not parse.
        """
        matches = compile_filter(text)
        return [sighting for sighting in self.sightings() if matches(sighting.frame)]

    def missed(self) -> int:
        """Return how many frames are not among the sightings.

        Either memory was full or they came faster than they could be read.
        """
        with self._lock:
            self._settle()
            self._count_overruns()
            return self._overruns + self._not_kept

    def _catch_up(self) -> None:
        called_ns = time.time_ns()
        if not until(lambda: self._is_caught_up(called_ns), _HANDED_OVER_WITHIN_S):
            raise machine_error(
                "the kernel does not hand over what was captured",
                hint="is the machine overloaded?",
            )

    def _is_caught_up(self, called_ns: int) -> bool:
        with self._lock:
            self._take()
            # Where nodes never stop sending there always is more, but it is newer.
            return all(
                node.newest_ns >= called_ns or not node.ring.has_more() for node in self._nodes
            )

    def _read(self) -> None:
        poll = select.poll()
        for node in self._nodes:
            poll.register(node.sock, select.POLLIN)
        poll.register(self._stop_fd, select.POLLIN)
        while all(fd != self._stop_fd for fd, _ in poll.poll()):
            with self._lock:
                self._take()

    def _take(self) -> None:
        for node in self._nodes:
            for frame in node.ring.take():
                node.newest_ns = frame.time_ns
                interface = node.interface(frame.interface_index)
                if interface == _LOOPBACK and frame.is_outgoing:
                    continue  # it comes in a moment later
                size = len(frame.frame) + _SIGHTING_BYTES
                if self._bytes + size > self._most_bytes:
                    self._not_kept += 1
                    self._full_at_ns = min(self._full_at_ns, frame.time_ns)
                    continue
                self._bytes += size
                self._sightings.append(
                    Sighting(frame.time_ns, node.name, interface, frame.is_outgoing, frame.frame)
                )
                self._is_sorted = False

    def _settle(self) -> None:
        """Bring the sightings into their order.

        Where memory was full they end at the first frame that had no room: else of a packet only
        one end would be there, and it would look lost.
        """
        if not self._is_sorted:
            self._sightings.sort(key=_time_ns)
            self._is_sorted = True
        end = bisect_left(self._sightings, self._full_at_ns, key=_time_ns)
        self._not_kept += len(self._sightings) - end
        del self._sightings[end:]

    def _count_overruns(self) -> None:
        for node in self._nodes:
            self._overruns += node.ring.missed()


def _time_ns(sighting: Sighting) -> int:
    return sighting.time_ns


def _open_nodes(control: Control, netns: Mapping[str, str]) -> list[_Node]:
    sockets: dict[str, socket.socket] = {}
    rings: dict[str, Ring] = {}
    errors: list[Exception] = []
    ring_bytes = min(_MOST_RING_BYTES, _RING_BYTES // max(1, len(netns)))

    def open_ring(name: str) -> None:
        try:
            rings[name] = Ring(sockets[name], ring_bytes)
        except (LabError, OSError) as error:
            errors.append(error)

    try:
        for name, its_netns in netns.items():
            # With a protocol from the start it hears every interface, without a bind.
            sockets[name] = control.open_socket(
                its_netns, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL)
            )
        _all_at_once(open_ring, sockets)
        if errors:
            raise errors[0]
    except BaseException:
        for ring in rings.values():
            ring.close()
        for sock in sockets.values():
            sock.close()
        raise
    return [_Node(name, sock, rings[name]) for name, sock in sockets.items()]


def _all_at_once(act: Callable[[_T], object], things: Iterable[_T]) -> None:
    waiting = list(things)
    left = iter(waiting)

    def work() -> None:
        for thing in left:
            act(thing)

    threads = [threading.Thread(target=work) for _ in waiting[:_AT_ONCE]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
