"""RANDOM/1: the request, and the bytes that answer it.

    RANDOM seed length LF        the first length bytes of the stream that belongs to the seed

``seed`` is a number from 0 to 2147483647, ``length`` one from 0 to 999999999999, in decimal and
without a sign. After the answer the next request may follow on the same connection.

The stream repeats a table of 65521 bytes. With x = seed, each byte of the table is made by

    x = (x * 1103515245 + 12345) mod 2**31;    byte = (x >> 16) mod 256

Both ends know so what has to come, byte by byte. The length of the table is a prime number: if a
buffer of any usual size is lost or sent twice, all that follows is wrong, and that shows.
"""

from collections.abc import Iterator

PERIOD = 65521
PIECE = 16384
LARGEST_SEED = 2**31 - 1
LARGEST_LENGTH = 10**12 - 1
MAX_LINE = 64  # longer than any good request


def request(seed: int, length: int) -> bytes:
    return b"RANDOM %d %d\n" % (seed, length)


def parse_request(line: bytes) -> tuple[int, int] | None:
    """Return seed and length, or None if the line is no request."""
    match line.removesuffix(b"\n").split(b" "):
        case _ if not line.endswith(b"\n"):
            return None
        case [b"RANDOM", seed, length]:
            for text, largest in ((seed, LARGEST_SEED), (length, LARGEST_LENGTH)):
                if not (text.isdigit() and len(text) <= 12 and int(text) <= largest):
                    return None
            return int(seed), int(length)
        case _:
            return None


def table(seed: int) -> bytes:
    """Return the bytes that the stream repeats."""
    numbers = bytearray()
    for _ in range(PERIOD):
        seed = (seed * 1103515245 + 12345) % 2**31
        numbers.append(seed % 256)
    return bytes(numbers)


def pieces(seed: int, length: int) -> Iterator[bytes]:
    """Yield the stream piece by piece: however long it is, only one piece is in memory."""
    repeated = table(seed)
    # A piece that begins near the end of the table goes on at its beginning.
    repeated += repeated[:PIECE]
    at = 0
    while length > 0:
        piece = repeated[at : at + min(PIECE, length)]
        yield piece
        length -= len(piece)
        at = (at + len(piece)) % PERIOD
