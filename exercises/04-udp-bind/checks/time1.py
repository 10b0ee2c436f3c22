"""TIME/1 as the checks speak it."""

import struct

REQUEST = struct.Struct("!2sBBIQ")
ANSWER = struct.Struct("!2sBBIQQ")


def request(seq: int) -> bytes:
    return REQUEST.pack(b"TM", 1, 1, seq, 0)


def is_answer(data: bytes, seq: int) -> bool:
    return len(data) == ANSWER.size and ANSWER.unpack(data)[:5] == (b"TM", 1, 2, seq, 0)
