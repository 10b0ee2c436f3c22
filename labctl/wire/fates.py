"""The fate log: one JSON line for each decision of a rule, by which a check proves its fault."""

import json
from collections.abc import Callable
from typing import NamedTuple

from labctl.packets.summary import summary
from labctl.wire.rules import Fate

MOST_FATES = 200_000
"""Lines of one log, 50 MB; what comes after is counted by the rules but not told."""

_KEYS = ("time", "link", "direction", "rule", "text", "count", "done", "detail", "packet")
"""The names in a line, in the order of ``FateEntry``."""

_FULL: dict[str, object] = {"done": "full", "detail": "the log is full: what follows is missing"}

_NS_PER_S = 1_000_000_000


class FateEntry(NamedTuple):
    """One line of the log."""

    time_s: float
    """Since 1970, as in a capture."""
    link: str
    direction: str
    rule: int
    """Which rule of the direction, from 1."""
    text: str
    """That rule."""
    nth: int
    """The number of the packet, as that rule counts."""
    done: str
    """As ``Done`` of ``labctl.wire.rules``."""
    detail: str
    packet: str
    """One line about the packet, as it was before."""


class FateLog:
    """Writes fates; one for all directions of a lab."""

    def __init__(
        self, write: Callable[[str], object], *, epoch_ns: int, most: int = MOST_FATES
    ) -> None:
        """``write`` takes a line; ``epoch_ns`` is the time since 1970 at zero of the rules' clock."""
        self._write = write
        self._epoch_ns = epoch_ns
        self._most = most
        self._written = 0

    def of(self, link: str, direction: str) -> Callable[[Fate], None]:
        """Return the function that logs the fates of one direction."""

        def log(fate: Fate) -> None:
            self._written += 1
            if self._written <= self._most:
                entry = FateEntry(
                    # Microseconds, as in a capture: a float holds no more of today's time.
                    round((fate.time_ns + self._epoch_ns) / _NS_PER_S, 6),
                    link,
                    direction,
                    fate.rule,
                    fate.text,
                    fate.nth,
                    fate.done,
                    fate.detail,
                    summary(fate.frame),
                )
                self._write(_line(dict(zip(_KEYS, entry, strict=True))))
            elif self._written == self._most + 1:
                self._write(_line(_FULL))

        return log


def parse_fates(text: str) -> tuple[list[FateEntry], bool]:
    """Return the entries of a log, and whether it is complete.

    A last line without its end is still being written, and is left out. Raises ``ValueError``
    for what is no such log.
    """
    entries: list[FateEntry] = []
    is_complete = True
    for line in text.split("\n")[:-1]:
        fields = json.loads(line)
        if fields == _FULL:
            is_complete = False
            continue
        try:
            entries.append(FateEntry(*(fields[key] for key in _KEYS)))
        except (KeyError, TypeError):
            raise ValueError(f"not an entry of a fate log: {line[:80]}") from None
    return entries, is_complete


def _line(fields: dict[str, object]) -> str:
    return json.dumps(fields, ensure_ascii=False) + "\n"
