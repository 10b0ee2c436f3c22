"""Messages between a lab's holder and labctl: JSON objects over a SOCK_SEQPACKET socket (unix(7)).

A socket takes no message that is larger than its buffer, about 200 KB. A larger one, such as a
whole environment or the list of a thousand programs, travels in an anonymous file instead.
"""

import json
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

_INLINE_BYTES = 65536
_IN_FILE = b"in file"
_MOST_FDS = 4


def send(sock: socket.socket, message: Mapping[str, object], fds: Sequence[int] = ()) -> None:
    """Send a message, with copies of some descriptors. Raises ``OSError``."""
    data = json.dumps(message).encode()
    if len(data) <= _INLINE_BYTES:
        socket.send_fds(sock, [data], fds)
        return
    with open(os.memfd_create("labctl-message"), "wb") as file:
        file.write(data)
        file.flush()
        socket.send_fds(sock, [_IN_FILE], [*fds, file.fileno()])


def receive(sock: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """Return a message and the descriptors with it; ``None`` where the other end has closed.

    Raises ``OSError``, and ``ValueError`` for what is not a message.
    """
    data, fds, _, _ = socket.recv_fds(sock, _INLINE_BYTES, _MOST_FDS)
    try:
        for fd in fds:
            os.set_inheritable(fd, False)  # Python 3.11 ignores the flags of recv_fds
        if data == _IN_FILE:
            with open(fds.pop(), "rb") as file:
                file.seek(0)
                data = file.read()
        if not data:
            return None, fds
        message = json.loads(data)
        if not isinstance(message, dict):
            raise ValueError("not an object")
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    return message, fds
