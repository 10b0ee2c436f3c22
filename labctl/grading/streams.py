"""Collects what programs write, each stream up to a limit, while a check waits for it."""

import os
import selectors
import threading
import time
from collections.abc import Callable
from typing import TypeVar

_CHUNK_BYTES = 65536

T = TypeVar("T")


class Stream:
    """What came out of one descriptor so far."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self.kept = bytearray()
        """The beginning, as much as is allowed."""
        self.total = 0
        """Bytes that were written, kept or not."""
        self.has_ended = False
        self.read_up_to = 0
        """Where the next line begins that nobody has read yet."""

    def append(self, data: bytes) -> None:
        """Take in what was written."""
        self.kept += data[: max(0, self._most_bytes - len(self.kept))]
        self.total += len(data)

    def next_line(self) -> bytes | None:
        """Return the next complete line without its end, or ``None``; it is read by that."""
        end = self.kept.find(b"\n", self.read_up_to)
        if end < 0:
            return None
        line = bytes(self.kept[self.read_up_to : end])
        self.read_up_to = end + 1
        return line.removesuffix(b"\r")


class Collector:
    """Reads any number of descriptors in one thread, and wakes whoever waits for what they say."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._changed = threading.Condition()
        self._added: list[tuple[int, Stream]] = []
        self._is_closed = False
        self._thread = threading.Thread(target=self._read_all, name="collector", daemon=True)
        self._thread.start()

    def collect(self, fd: int, most_bytes: int) -> Stream:
        """Read the descriptor to its end, and close it then."""
        os.set_blocking(fd, False)
        stream = Stream(most_bytes)
        with self._changed:
            self._added.append((fd, stream))
        self._wake()
        return stream

    def wait(self, condition: Callable[[], T | None], within_s: float) -> T | None:
        """Return what ``condition`` says as soon as it is true; ``None`` if it never is.

        It is asked anew whenever something was written.
        """
        deadline = time.monotonic() + within_s
        with self._changed:
            while not (result := condition()):
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return None
                self._changed.wait(left_s)
        return result

    def close(self) -> None:
        """Stop reading; what was collected stays."""
        self._is_closed = True
        self._wake()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            os.close(key.fd)
        self._selector.close()
        os.close(self._wake_write)
        for fd, _ in self._added:
            os.close(fd)

    def _wake(self) -> None:
        try:
            os.write(self._wake_write, b"w")
        except BlockingIOError:
            pass  # it is awake already

    def _read_all(self) -> None:
        while not self._is_closed:
            for key, _ in self._selector.select():
                if key.fd == self._wake_read:
                    self._take_new()
                else:
                    self._read(key.fd, key.data)

    def _take_new(self) -> None:
        try:
            os.read(self._wake_read, _CHUNK_BYTES)
        except BlockingIOError:
            pass
        with self._changed:
            for fd, stream in self._added:
                self._selector.register(fd, selectors.EVENT_READ, stream)
            self._added = []

    def _read(self, fd: int, stream: Stream) -> None:
        try:
            data = os.read(fd, _CHUNK_BYTES)
        except BlockingIOError:
            return
        with self._changed:
            if data:
                stream.append(data)
            else:
                stream.has_ended = True
                self._selector.unregister(fd)
                os.close(fd)
            self._changed.notify_all()
