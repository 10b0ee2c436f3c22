"""A program's last output, with the time of each piece, in a file that cannot grow for ever.

Format of ``logs/NAME``: pieces one after the other, each ``nanoseconds length`` in ASCII, a
newline, and ``length`` bytes. At half the limit the file becomes ``NAME.old`` and a new one begins.
"""

import os
from collections.abc import Iterator
from typing import BinaryIO

LIMIT_BYTES = 2 << 20
"""What is kept of one program's output, at least half of it at any time."""


class LogWriter:
    """Appends to one program's log. ``directory_fd`` is the open logs folder."""

    def __init__(self, name: str, directory_fd: int) -> None:
        self._name = name
        self._directory_fd = directory_fd
        self._size = 0
        for old in (f"{name}.old", name):
            try:
                os.unlink(old, dir_fd=directory_fd)
            except FileNotFoundError:
                pass
        self._fd = self._open(name)

    def _open(self, name: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        return os.open(name, flags, 0o600, dir_fd=self._directory_fd)

    def append(self, data: bytes, now_ns: int) -> None:
        """Write one piece of output; ``now_ns`` is nanoseconds since 1970."""
        if self._fd < 0:
            return
        piece = b"%d %d\n%b" % (now_ns, len(data), data)
        try:
            if self._size >= LIMIT_BYTES // 2:
                self._begin_new_file()
            if os.pwrite(self._fd, piece, self._size) == len(piece):
                self._size += len(piece)
            else:
                # Half a piece would make all that follows unreadable.
                os.ftruncate(self._fd, self._size)
        except OSError:
            pass  # the disk is full: losing output is better than losing the lab

    def _begin_new_file(self) -> None:
        name, folder = self._name, self._directory_fd
        # First the step that needs room on the disk: if it fails, everything is as before.
        new = self._open(f"{name}.new")
        os.close(self._fd)
        self._fd, self._size = new, 0
        os.rename(name, f"{name}.old", src_dir_fd=folder, dst_dir_fd=folder)
        os.rename(f"{name}.new", name, src_dir_fd=folder, dst_dir_fd=folder)

    def close(self) -> None:
        """Close the file; it stays readable, and what is appended after this is dropped."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


def read_pieces(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield (nanoseconds since 1970, bytes) of every complete piece from the file's position on.

    The position is left after the last complete piece, so that a follower can call again.
    """
    while True:
        start = file.tell()
        head = file.readline()
        if not head.endswith(b"\n"):
            file.seek(start)
            return
        now_ns, length = (int(word) for word in head.split())
        data = file.read(length)
        if len(data) < length:
            file.seek(start)
            return
        yield now_ns, data
