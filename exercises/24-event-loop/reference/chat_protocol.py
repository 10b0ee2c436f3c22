"""CHAT/1: lines over TCP. What one client says all others get, and nobody answers.

a line, 1 to 512 bytes and LF       goes to all other clients, as it is
PONG LF                             goes to nobody: a sign of life
PING LF, from the server            say something, or be closed
"""

MAX_LINE = 512
PING = b"PING\n"
PONG = b"PONG"


class LineTooLongError(ValueError):
    """More than 512 bytes have come without LF."""


def take_lines(unread: bytearray) -> list[bytes]:
    """Take the complete lines from what has come, without their LF; the rest stays."""
    *lines, rest = bytes(unread).split(b"\n")
    unread[:] = rest
    if any(len(line) > MAX_LINE for line in (*lines, rest)):
        raise LineTooLongError
    return lines
