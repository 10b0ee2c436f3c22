"""Sockets of the kernel, and what it has for their timers."""

import socket
import struct
from contextlib import suppress
from typing import NamedTuple

from labctl.testing import Lab


def connecting(lab: Lab, port: int) -> socket.socket:
    """Return a socket of the client that has sent a SYN to the server, and waits for the answer."""
    sock = lab["client"].socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    with suppress(BlockingIOError):
        sock.connect((lab["server"].address, port))
    return sock


class TcpInfo(NamedTuple):
    """What the kernel has for a socket, from struct tcp_info."""

    backoff: int
    """How often its timeout has been doubled."""
    rto_ms: int


def tcp_info(sock: socket.socket) -> TcpInfo:
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    backoff, rto_us = struct.unpack_from("4xB3xI", info)
    return TcpInfo(int(backoff), int(rto_us) // 1000)
