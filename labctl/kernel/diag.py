"""What ``ss`` would show of a node, asked of the kernel directly (sock_diag(7))."""

import socket
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from labctl.kernel import netlink

_SOCK_DIAG_BY_FAMILY = 20
_NETLINK_SOCK_DIAG = 4

TCP_STATES = (
    "",
    "ESTAB",
    "SYN-SENT",
    "SYN-RECV",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "TIME-WAIT",
    "UNCONN",
    "CLOSE-WAIT",
    "LAST-ACK",
    "LISTEN",
    "CLOSING",
    "NEW-SYN-RECV",
)
"""Numbers of include/net/tcp_states.h, in the words of ss(8)."""

_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}


class SocketEntry(NamedTuple):
    """One socket of a node."""

    protocol: str
    state: str
    local: str
    local_port: int
    peer: str
    peer_port: int
    recv_q: int
    """Bytes not read yet; of a listening socket, connections not accepted yet."""
    send_q: int
    """Bytes not acknowledged yet; of a listening socket, the backlog."""
    inode: int


class DiagSocket:
    """A sock_diag socket; what it sees is the namespace that it was made in."""

    FAMILY = socket.AF_NETLINK
    KIND = socket.SOCK_RAW
    PROTOCOL = _NETLINK_SOCK_DIAG

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def sockets(self, protocol: str, states: Iterable[str] = TCP_STATES) -> Iterator[SocketEntry]:
        """Yield the node's ``tcp`` or ``udp`` sockets in those states, IPv4 ones first.

        Those that listen alone are a tenth of the work: the kernel has them in a table of their
        own, and all others of the whole machine in one that it has to walk through.
        """
        bits = sum(1 << TCP_STATES.index(state) for state in states)
        for family in (socket.AF_INET, socket.AF_INET6):
            body = struct.pack("BBBxI48x", family, _PROTOCOLS[protocol], 0, bits)
            request = netlink.message(_SOCK_DIAG_BY_FAMILY, netlink.NLM_F_DUMP, body)
            for _, answer in netlink.dump(self._socket, request):
                yield _entry(protocol, answer)

    def is_bound(self, protocol: str, port: int) -> bool:
        """Whether a program listens on a TCP port, or has bound a UDP port."""
        state = "LISTEN" if protocol == "tcp" else "UNCONN"
        return any(entry.local_port == port for entry in self.sockets(protocol, [state]))


def _entry(protocol: str, body: bytes) -> SocketEntry:
    # struct inet_diag_msg: ports and addresses are in network order, the rest in the host's.
    family, state = body[0], body[1]
    local_port, peer_port = struct.unpack_from("!HH", body, 4)
    length = 4 if family == socket.AF_INET else 16
    local = socket.inet_ntop(family, body[8 : 8 + length])
    peer = socket.inet_ntop(family, body[24 : 24 + length])
    recv_q, send_q, _, inode = struct.unpack_from("IIII", body, 56)
    return SocketEntry(
        protocol, TCP_STATES[state], local, local_port, peer, peer_port, recv_q, send_q, inode
    )
