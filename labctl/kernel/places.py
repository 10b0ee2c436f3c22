"""The network namespaces of a lab as its holder reaches them, by name."""

import errno
import os
import socket

from labctl.kernel.joining import NETNS_DIRECTORY
from labctl.kernel.namespaces import CLONE_NEWNET, setns
from labctl.kernel.wire import HIDDEN


class Places:
    """Knows the file of each namespace, and opens sockets in it.

    ``hidden_fd`` is the namespace that has no name, where the lab has one.
    """

    def __init__(self, hidden_fd: int | None) -> None:
        self._hidden_fd = hidden_fd
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def file(self, netns: str) -> str:
        """Return the path of a namespace. Raises ``OSError`` where the lab has no hidden one."""
        if netns != HIDDEN:
            return f"{NETNS_DIRECTORY}/{netns}"
        if self._hidden_fd is None:
            raise FileNotFoundError(errno.ENOENT, "this lab has no wired links")
        return f"/proc/self/fd/{self._hidden_fd}"

    def open_socket(self, netns: str, family: int, kind: int, protocol: int) -> socket.socket:
        """Return a socket as socket(2) would make it there. This process stays where it is."""
        fd = os.open(self.file(netns), os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(fd, CLONE_NEWNET)
            return socket.socket(family, kind, protocol)
        finally:
            setns(self._home, CLONE_NEWNET)
            os.close(fd)
