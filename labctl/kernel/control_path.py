"""The paths of a lab's sockets, in a form that is always short enough."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from labctl.kernel.state import LabState


@contextmanager
def socket_path(state: LabState, name: str) -> Iterator[str]:
    """Give a path for a socket in the lab's folder that fits into the 108 bytes of unix(7)."""
    path = state.file(name)
    if len(os.fsencode(path)) < 108:
        yield path
        return
    folder = os.open(state.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{name}"
    finally:
        os.close(folder)
