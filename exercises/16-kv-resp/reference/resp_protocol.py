"""RESP2, the protocol of redis: how commands are cut from what has come so far, and the answers.

A command is an array of strings, so ``SET k hello`` is sent as

    *3 CRLF  $3 CRLF SET CRLF  $1 CRLF k CRLF  $5 CRLF hello CRLF

Everything has its length in front. Nobody looks for the end of anything, so a string may hold any
bytes. The first byte of an answer says what it is: ``+`` a short text, ``-`` an error, ``:`` a
number, ``$`` a string, where the length -1 means that there is none.

Nothing here receives or waits: bytes are put in, commands are taken out.
"""

MAX_WORDS = 16
MAX_STRING = 65536
MAX_HEADER = 16  # bytes from * or $ to the end of the CRLF; any good one is shorter


class BrokenStreamError(Exception):
    """Where the next command begins can no longer be told, so the conversation is over."""


def text(words: str) -> bytes:
    return b"+%b\r\n" % words.encode()


def error(words: str) -> bytes:
    return b"-ERR %b\r\n" % words.encode()


def number(value: int) -> bytes:
    return b":%d\r\n" % value


def string(value: bytes | None) -> bytes:
    return b"$-1\r\n" if value is None else b"$%d\r\n%b\r\n" % (len(value), value)


class CommandBuffer:
    """What one client has sent and what has not been carried out yet."""

    def __init__(self) -> None:
        self.buffer = b""

    def put(self, received: bytes) -> None:
        self.buffer += received

    def take(self) -> list[bytes] | None:
        """Return the words of the next command, or None while it is not complete."""
        header = self._header(0, b"*", MAX_WORDS)
        if header is None:
            return None
        count, place = header
        words = []
        for _ in range(count):
            header = self._header(place, b"$", MAX_STRING)
            if header is None:
                return None
            length, start = header
            end = start + length
            if len(self.buffer) < end + 2:
                return None
            if self.buffer[end : end + 2] != b"\r\n":
                raise BrokenStreamError("string longer than announced")
            words.append(self.buffer[start:end])
            place = end + 2
        if not words:
            raise BrokenStreamError("a command has at least one word")
        self.buffer = self.buffer[place:]
        return words

    def _header(self, place: int, kind: bytes, largest: int) -> tuple[int, int] | None:
        """Return the number in a line such as ``$5``, and where that line ends."""
        line = self.buffer[place : place + MAX_HEADER]
        if line and line[:1] != kind:
            raise BrokenStreamError(f"expected '{kind.decode()}'")
        end = line.find(b"\r\n")
        if end < 0:
            if len(line) == MAX_HEADER:
                raise BrokenStreamError("length without an end")
            return None
        digits = line[1:end]
        if not (digits.isdigit() and int(digits) <= largest):
            raise BrokenStreamError(f"no length from 0 to {largest}")
        return int(digits), place + end + 2
