"""The rows of a ladder, and how many of them are enough; pure."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

MOST_ROWS = 40

_AROUND = 3
"""Rows of a long run that are shown at its beginning, and at its end."""

End = Literal["arrived", "lost", "waiting"]


class Row(NamedTuple):
    """One arrow, or one line of text."""

    time_ns: int
    """Since the first packet."""
    source: str
    """A node; empty where the sender is not known. Both empty: a line of text."""
    target: str
    """A node, the same for what a node sends to itself; empty where it is not known."""
    label: str
    note: str = ""
    end: End = "arrived"
    stopped_behind: str = ""
    """The last node that had it, of what did not arrive."""
    unit: str = "packet"
    """What it is one of, for a count: ``segment``."""
    data_bytes: int = 0
    """How many bytes of a program it carries."""
    is_plain: bool = False
    """Whether one may leave it out among others like it."""


def fold(rows: Sequence[Row], most: int = MOST_ROWS) -> list[Row]:
    """Return at most that many rows: first the long runs of plain ones are left out, then the middle."""
    if len(rows) <= most:
        return list(rows)
    parts = [part for run in _runs(rows) for part in _folded(run)]
    if len(parts) > most:
        head = (most - 1) // 2
        tail = most - 1 - head
        # What was folded there already is part of it.
        while len(parts[head - 1]) > 1:
            head -= 1
        while len(parts[-tail]) > 1:
            tail -= 1
        middle = [row for part in parts[head:-tail] for row in part]
        parts = [*parts[:head], middle, *parts[-tail:]]
    return [part[0] if len(part) == 1 else _sum(part) for part in parts]


def _runs(rows: Sequence[Row]) -> list[list[Row]]:
    """Return the rows in their order: plain ones together, the others each alone."""
    runs: list[list[Row]] = []
    was_plain = False
    for row in rows:
        if was_plain and row.is_plain:
            runs[-1].append(row)
        else:
            runs.append([row])
        was_plain = row.is_plain
    return runs


def _folded(run: list[Row]) -> list[list[Row]]:
    """Return a run's parts: single rows, and in the middle of a long run all others."""
    if len(run) <= 2 * _AROUND + 1:
        return [[row] for row in run]
    return [
        *([row] for row in run[:_AROUND]),
        run[_AROUND:-_AROUND],
        *([row] for row in run[-_AROUND:]),
    ]


def _sum(rows: Sequence[Row]) -> Row:
    carrying = [row for row in rows if row.data_bytes] or list(rows)
    units = {row.unit for row in carrying}
    unit = units.pop() if len(units) == 1 else "packet"
    parts = [f"{len(carrying)} {unit}s" if len(carrying) > 1 else f"1 {unit}"]
    if total := sum(row.data_bytes for row in rows):
        parts.append(size_text(total))
    if lost := sum(row.end == "lost" for row in rows):
        parts.append(f"{lost} lost")
    if again := sum("retransmission" in row.note for row in rows):
        parts.append(f"{again} sent again")
    ways = {(row.source, row.target) for row in carrying}
    source, target = ways.pop() if len(ways) == 1 else ("", "")
    if source == target:
        source = target = ""
    return Row(rows[0].time_ns, source, target, f"… {', '.join(parts)} …")


def size_text(size: int) -> str:
    """Return ``1.0 MiB``, ``512 bytes``."""
    if size < 1024:
        return f"{size} bytes"
    for unit in ("KiB", "MiB"):
        size_in_unit = size / 1024 ** (1 if unit == "KiB" else 2)
        if size_in_unit < 1000:
            return f"{size_in_unit:.1f} {unit}"
    return f"{size / 1024**3:.1f} GiB"
