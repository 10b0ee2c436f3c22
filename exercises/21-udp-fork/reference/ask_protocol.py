"""ASK/1: questions over UDP that are passed on to a TCP server, the source, line by line.

question    id, 4 bytes | text, 1 to 255 bytes without LF
answer      the same 4 bytes | "+" | the source's line, up to 1024 bytes, without its LF
            the same 4 bytes | "-" | why there is none
"""

ID_SIZE = 4
MAX_TEXT = 255
MAX_LINE = 1024

# Longer than any question: one that is too long is not to look like a good one.
BUFFER_SIZE = 2048


def unpack_question(datagram: bytes) -> tuple[bytes, bytes] | None:
    """Return id and text, or None if it is no question."""
    name, text = datagram[:ID_SIZE], datagram[ID_SIZE:]
    # With LF in it, it would be two questions to the source, and the second one nobody's.
    if not 1 <= len(text) <= MAX_TEXT or b"\n" in text:
        return None
    return name, text


def pack_answer(name: bytes, line: bytes) -> bytes:
    return name + b"+" + line


def pack_failure(name: bytes, reason: str) -> bytes:
    return name + b"-" + reason.encode()
