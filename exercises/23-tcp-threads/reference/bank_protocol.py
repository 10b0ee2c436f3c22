"""BANK/1: requests over TCP, one a line, and what they mean. There are 100 accounts, 0 to 99.

MOVE from to amount LF    OK    or   POOR, if there is less than that
LIST LF                   LIST and 100 balances, in one line
QUIT LF                   nothing; the server closes
all else                  ERR and why
"""

from typing import NamedTuple

ACCOUNTS = 100
START = 1000

MAX_LINE = 256


class Move(NamedTuple):
    source: int
    target: int
    amount: int


def parse_number(text: bytes, largest: int) -> int | None:
    # int() would take "+1", "1_0" and blanks as well.
    if not (text.isdigit() and len(text) <= 7 and int(text) <= largest):
        return None
    return int(text)


def parse_move(words: list[bytes]) -> Move | None:
    """Return what a line of words asks for, or None if it is no proper MOVE."""
    if len(words) != 4 or words[0] != b"MOVE":
        return None
    source, target = (parse_number(word, ACCOUNTS - 1) for word in words[1:3])
    amount = parse_number(words[3], 1000000)
    if source is None or target is None or amount is None:
        return None
    return Move(source, target, amount)


def pack_list(balances: list[int]) -> bytes:
    return b"LIST %b\n" % b" ".join(b"%d" % balance for balance in balances)
