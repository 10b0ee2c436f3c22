"""KV/1: the limits of the protocol, and how lines and values are taken from a TCP stream.

    PUT key length LF, length bytes, LF    OK
    GET key LF                             VALUE length LF, length bytes, LF   or   NOTFOUND
    DEL key LF                             OK   or   NOTFOUND
    COUNT LF                               COUNT n
    QUIT LF                                the server closes
    anything else                          ERR reason

Every answer ends with LF. A key is 1 to 64 characters from ! to ~; a value is at most 4096 bytes,
any bytes. Fields are separated by one blank.
"""

import socket

MAX_KEY = 64
MAX_VALUE = 4096
MAX_LINE = 1024  # longer than any good line; without a limit one client could fill the memory


class BrokenStreamError(Exception):
    """Where the next message begins can no longer be told, so the conversation is over."""


def is_key(key: bytes) -> bool:
    return 1 <= len(key) <= MAX_KEY and all(0x21 <= byte <= 0x7E for byte in key)


def parse_length(text: bytes) -> int | None:
    """Return the length of a value, or None if the text is not one that is allowed."""
    if not (text.isdigit() and len(text) <= 4 and int(text) <= MAX_VALUE):
        return None
    return int(text)


class StreamReader:
    """Cuts a stream of bytes into the pieces that the protocol speaks of.

    TCP keeps the order of the bytes and nothing else. One recv() may return half a line, or
    three lines and the beginning of a value, no matter how the other end wrote them. So bytes
    are collected here until a piece is complete, and what is left over waits for the next call.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""

    def read_line(self) -> bytes | None:
        """Return the next line without its LF, or None if the other end has finished."""
        while b"\n" not in self.buffer[: MAX_LINE + 1]:
            if len(self.buffer) > MAX_LINE:
                raise BrokenStreamError("line too long")
            if not self._receive():
                if self.buffer:
                    raise BrokenStreamError("end in the middle of a line")
                return None
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line

    def read_value(self, length: int) -> bytes:
        """Return the next ``length`` bytes, and skip the LF behind them."""
        while len(self.buffer) < length + 1:
            if not self._receive():
                raise BrokenStreamError("end in the middle of a value")
        value, end = self.buffer[:length], self.buffer[length : length + 1]
        if end != b"\n":
            raise BrokenStreamError("value longer than announced")
        self.buffer = self.buffer[length + 1 :]
        return value

    def _receive(self) -> bool:
        """Wait for more bytes; return whether any came."""
        received = self.sock.recv(4096)
        self.buffer += received
        return bool(received)
