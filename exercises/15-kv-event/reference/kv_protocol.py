"""KV/1: the limits of the protocol, and how requests are cut from what has come so far.

    PUT key length LF, length bytes, LF    OK
    GET key LF                             VALUE length LF, length bytes, LF   or   NOTFOUND
    DEL key LF                             OK   or   NOTFOUND
    COUNT LF                               COUNT n
    QUIT LF                                the server closes
    anything else                          ERR reason

Every answer ends with LF. A key is 1 to 64 characters from ! to ~; a value is at most 4096 bytes,
any bytes. Fields are separated by one blank.

Nothing here receives or waits: bytes are put in, requests are taken out. Whoever serves many
clients in one thread needs it that way.
"""

from typing import NamedTuple

MAX_KEY = 64
MAX_VALUE = 4096
MAX_LINE = 1024  # longer than any good line; without a limit one client could fill the memory


class BrokenStreamError(Exception):
    """Where the next message begins can no longer be told, so the conversation is over."""


class Request(NamedTuple):
    """The words of a line, and the value that came with it."""

    words: list[bytes]
    value: bytes = b""


def is_key(key: bytes) -> bool:
    return 1 <= len(key) <= MAX_KEY and all(0x21 <= byte <= 0x7E for byte in key)


def parse_length(text: bytes) -> int | None:
    """Return the length of a value, or None if the text is not one that is allowed."""
    if not (text.isdigit() and len(text) <= 4 and int(text) <= MAX_VALUE):
        return None
    return int(text)


class RequestBuffer:
    """What one client has sent and what has not been carried out yet."""

    def __init__(self) -> None:
        self.buffer = b""

    def put(self, received: bytes) -> None:
        self.buffer += received

    def take(self) -> Request | None:
        """Return the next request, or None while it is not complete."""
        line, end, rest = self.buffer.partition(b"\n")
        if len(line) > MAX_LINE:
            raise BrokenStreamError("line too long")
        if not end:
            return None
        words = line.split(b" ")
        if words[0] != b"PUT":
            self.buffer = rest
            return Request(words)
        length = parse_length(words[2]) if len(words) == 3 else None
        if length is None:
            raise BrokenStreamError("PUT takes a key and a length from 0 to 4096")
        if len(rest) <= length:
            return None
        if rest[length : length + 1] != b"\n":
            raise BrokenStreamError("value longer than announced")
        self.buffer = rest[length + 1 :]
        return Request(words, rest[:length])
