"""TIME/1 as the checks speak it: a good request, a good answer, and what is neither."""

import struct

REQUEST = struct.Struct("!2sBBIQ")
ANSWER = struct.Struct("!2sBBIQQ")


def request(seq: int, t_client: int) -> bytes:
    return REQUEST.pack(b"TM", 1, 1, seq, t_client)


def answer(seq: int, t_client: int, t_server: int) -> bytes:
    return ANSWER.pack(b"TM", 1, 2, seq, t_client, t_server)


def garbage() -> dict[str, bytes]:
    """Return datagrams that are no requests, each by what is wrong with it."""
    good = request(1, 2)
    return {
        "an empty datagram": b"",
        "15 bytes": good[:15],
        "17 bytes": good + b"\0",
        "1400 bytes that begin like a request": good.ljust(1400, b"\0"),
        'the magic "XX"': b"XX" + good[2:],
        "version 2": good[:2] + b"\2" + good[3:],
        "type 2 (an answer)": good[:3] + b"\2" + good[4:],
        "an answer's 24 bytes": answer(1, 2, 3),
    }
