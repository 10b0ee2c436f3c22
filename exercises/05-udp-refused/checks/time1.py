"""TIME/1 as the checks speak it: what a request looks like, and an answer to it."""

import struct

REQUEST = struct.Struct("!2sBBIQ")
ANSWER = struct.Struct("!2sBBIQQ")


def is_request(data: bytes) -> bool:
    return len(data) == REQUEST.size and REQUEST.unpack(data)[:3] == (b"TM", 1, 1)


def answer(request: bytes, t_server: int) -> bytes:
    seq, t_client = REQUEST.unpack(request)[3:]
    return ANSWER.pack(b"TM", 1, 2, seq, t_client, t_server)
