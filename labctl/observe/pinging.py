"""Pings every node of a running lab from every other, with sockets inside the nodes."""

import errno
import os
import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from labctl.kernel.control import Control
from labctl.observe.echo import echo_request, parse_answer
from labctl.topology.model import Topology

_AT_ONCE = 200
"""Requests under way together: what the default receive buffer of one socket holds."""

_SEND_ERRORS = {errno.ENETUNREACH: "no route", errno.ENOBUFS: "link down"}


class Pair(NamedTuple):
    """One ping that is to be made."""

    source: str
    target: str
    address: str
    """Of the target, without prefix length; where it has several, the one nearest to the source."""


class PingResult(NamedTuple):
    """One ping that was made."""

    pair: Pair
    rtt_ms: float | None
    """``None`` where no reply came."""
    error: str
    """Why not: ``no reply``, or what an ICMP error or the kernel said; empty after a reply."""


def all_pairs(topology: Topology) -> list[Pair]:
    """Return every ordered pair of nodes with addresses, once for each IP version both have."""
    addresses: dict[str, list[str]] = {}
    near: dict[tuple[str, str], list[str]] = {}
    for link in topology.links:
        for end, other in ((link.left, link.right), (link.right, link.left)):
            plain = [address.partition("/")[0] for address in end.addresses]
            addresses.setdefault(end.node, []).extend(plain)
            near.setdefault((other.node, end.node), []).extend(plain)
    pairs = []
    for source, own in addresses.items():
        for target, theirs in addresses.items():
            if source == target:
                continue
            for ipv6 in (False, True):
                if not any((":" in address) is ipv6 for address in own):
                    continue
                candidates = [*near.get((source, target), []), *theirs]
                wanted = [address for address in candidates if (":" in address) is ipv6]
                pairs += [Pair(source, target, address) for address in wanted[:1]]
    return pairs


def ping_pairs(
    control: Control,
    netns: dict[str, str],
    pairs: Sequence[Pair],
    *,
    wait_s: float,
    progress: Callable[[int], None] = lambda done: None,
) -> Iterator[PingResult]:
    """Ping the pairs, many at once, and yield the results in their order.

    ``netns`` has each node's namespace name, ``wait_s`` is how long a reply may take.
    """
    for start in range(0, len(pairs), _AT_ONCE):
        yield from _Round(control, netns, pairs[start : start + _AT_ONCE]).run(wait_s)
        progress(min(start + _AT_ONCE, len(pairs)))


class _Round:
    def __init__(self, control: Control, netns: dict[str, str], pairs: Sequence[Pair]) -> None:
        self._control = control
        self._netns = netns
        self._pairs = pairs
        self._identifier = int.from_bytes(os.urandom(2), "big")
        self._sockets: dict[tuple[str, bool], socket.socket] = {}
        self._sent: dict[int, float] = {}
        self._results: dict[int, PingResult] = {}

    def run(self, wait_s: float) -> list[PingResult]:
        try:
            for sequence, pair in enumerate(self._pairs):
                self._send(sequence, pair)
            self._receive(time.monotonic() + wait_s)
        finally:
            for sock in self._sockets.values():
                sock.close()
        return [
            self._results.get(sequence, PingResult(pair, None, "no reply"))
            for sequence, pair in enumerate(self._pairs)
        ]

    def _send(self, sequence: int, pair: Pair) -> None:
        ipv6 = ":" in pair.address
        sock = self._sockets.get((pair.source, ipv6))
        if sock is None:
            family = socket.AF_INET6 if ipv6 else socket.AF_INET
            protocol = socket.IPPROTO_ICMPV6 if ipv6 else socket.IPPROTO_ICMP
            sock = self._control.open_socket(
                self._netns[pair.source], family, socket.SOCK_RAW, protocol
            )
            sock.setblocking(False)
            self._sockets[pair.source, ipv6] = sock
        self._sent[sequence] = time.perf_counter()
        try:
            sock.sendto(echo_request(self._identifier, sequence, ipv6=ipv6), (pair.address, 0))
        except OSError as error:
            text = _SEND_ERRORS.get(error.errno or 0, str(error.strerror).lower())
            self._results[sequence] = PingResult(pair, None, text)

    def _receive(self, deadline: float) -> None:
        poll = select.poll()
        by_fd = {sock.fileno(): (sock, ipv6) for (_, ipv6), sock in self._sockets.items()}
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        while len(self._results) < len(self._pairs):
            left_s = deadline - time.monotonic()
            ready = poll.poll(max(0, left_s * 1000))
            for fd, _ in ready:
                self._read(*by_fd[fd])
            if not ready and left_s <= 0:
                return

    def _read(self, sock: socket.socket, ipv6: bool) -> None:
        try:
            packet = sock.recv(2048)
        except OSError:
            return  # an error that belongs to a packet, told with it
        answer = parse_answer(packet, self._identifier, ipv6=ipv6)
        if answer is None or answer.sequence in self._results or answer.sequence not in self._sent:
            return
        pair = self._pairs[answer.sequence]
        rtt_ms = (time.perf_counter() - self._sent[answer.sequence]) * 1000
        self._results[answer.sequence] = PingResult(
            pair, None if answer.error else rtt_ms, answer.error
        )
