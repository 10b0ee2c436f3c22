"""What the kernel says of a TCP socket in a node, asked by sock_diag(7): no program is believed."""

import socket
import struct
from typing import NamedTuple

from labctl.testing import Lab, expect, machine_error

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST, _DUMP, _DONE = 0x1, 0x300, 3
_SKMEMINFO = 7  # INET_DIAG_SKMEMINFO, both as an attribute and as the bit before it
_KEEPALIVE_TIMER = 2


class Knobs(NamedTuple):
    """Of one socket."""

    rcvbuf: int
    sndbuf: int
    probe_in_ms: int | None
    """Until the keepalive timer goes off; None where it does not run."""


def knobs(lab: Lab, node: str, local_port: int) -> Knobs:
    """Return what the kernel knows of the established connection with that local port."""
    with lab[node].socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as diag:
        body = struct.pack(
            "BBBxI48x", socket.AF_INET, socket.IPPROTO_TCP, 1 << (_SKMEMINFO - 1), 1 << 1
        )
        head = struct.pack("IHHII", 16 + len(body), _SOCK_DIAG_BY_FAMILY, _REQUEST | _DUMP, 1, 0)
        diag.send(head + body)
        found = None
        while True:
            data = diag.recv(1 << 16)
            while data:
                length, kind = struct.unpack_from("IH", data)
                if kind == _DONE:
                    expect(
                        found,
                        expected="the program is connected",
                        actual="its kernel knows of no such connection",
                        hint="`connect` makes the connection, and nothing but `close` ends it",
                    )
                    assert found is not None
                    return found
                if kind != _SOCK_DIAG_BY_FAMILY:
                    raise machine_error("sock_diag answers with an error", where="check")
                message = data[16:length]
                if struct.unpack_from("!H", message, 4)[0] == local_port:
                    found = _knobs(message)
                data = data[(length + 3) & ~3 :]


def _knobs(message: bytes) -> Knobs:
    # struct inet_diag_msg: family, state, timer, retrans, then the socket's id, then expires in ms.
    timer = message[2]
    (expires,) = struct.unpack_from("I", message, 52)
    attributes = message[72:]
    memory = (0,) * 8
    while len(attributes) >= 4:
        length, kind = struct.unpack_from("HH", attributes)
        if kind == _SKMEMINFO:
            memory = struct.unpack_from("8I", attributes, 4)
        attributes = attributes[(length + 3) & ~3 :]
    return Knobs(memory[1], memory[3], expires if timer == _KEEPALIVE_TIMER else None)
