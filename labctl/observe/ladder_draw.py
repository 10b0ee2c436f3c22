"""Draws the rows of a ladder: a column for each node, an arrow for each packet; pure."""

from collections.abc import Sequence
from itertools import pairwise

from labctl.observe.ladder_rows import Row

WIDEST = 100
_LEFT = 6
_LEAST_GAP, _MOST_GAP = 16, 46
_AROUND_LABEL = 8
"""The arrow's head, its beginning, and some of its line."""
_SHORT = 6
"""An arrow that does not arrive leaves out this part of the last gap: one sixth."""
_FEW = 3
_MOST_NOTE, _MOST_NOTE_OF_MANY = 40, 26
"""Letters of a note: with few columns, and with more."""
_NS_PER_S = 1_000_000_000


def draw(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    """Return the lines: the names of the columns, then one for each row."""
    # A row that says nothing is a remark about those before it, at no time of its own.
    times = [f"{row.time_ns / _NS_PER_S:.3f}" if row.label else "" for row in rows]
    time_width = max((len(time) for time in times), default=0)
    most_note = _MOST_NOTE if len(columns) <= _FEW else _MOST_NOTE_OF_MANY
    notes = [_cut(row.note, most_note) for row in rows]
    note_width = max((len(note) for note in notes), default=0)
    room = WIDEST - 3 - time_width - (2 + note_width if note_width else 0)
    paper = _Paper(rows, columns, room)
    lines = [paper.heading()]
    for row, time, note in zip(rows, times, notes, strict=True):
        when = f"{time:>{time_width}}  {note}" if time else note
        lines.append(f"{paper.line(row)}   {when}".rstrip())
    return lines


class _Paper:
    """Where everything is."""

    def __init__(self, rows: Sequence[Row], columns: Sequence[str], room: int) -> None:
        left = max(_LEFT, 2 + len(_cut(columns[0], 2 * _LEFT)) // 2)
        self._names = list(columns)
        gaps = len(columns) - 1
        if gaps:
            most = (room - left - 1) // gaps - 1
            wanted = max(_LEAST_GAP, *(self._wanted(row) for row in rows), *self._names_apart())
            gap = max(8, min(wanted, most, _MOST_GAP))
        else:
            gap = 0
        self._names = [_cut(name, gap or 2 * _LEFT) for name in columns]
        self._at = {name: left + number * (gap + 1) for number, name in enumerate(columns)}
        self._last = left + gaps * (gap + 1)
        self._gap = gap
        # Of a node that is alone the arrows, too, are beside it.
        beside = max((len(row.label) + _AROUND_LABEL for row in rows), default=0) if not gaps else 0
        self._width = min(self._last + 1 + beside, room)

    def _wanted(self, row: Row) -> int:
        """Return how wide one gap has to be for a row's label."""
        if row.source not in self._names or row.target not in self._names:
            return 0 if not row.source and not row.target else len(row.label) + _AROUND_LABEL
        wanted = len(row.label) + _AROUND_LABEL
        # A label is beside its sender, and fits in front of the next column.
        ends_here = row.end != "arrived" and row.stopped_behind in ("", row.source)
        return wanted * _SHORT // (_SHORT - 1) + 1 if ends_here else wanted

    def _names_apart(self) -> list[int]:
        return [(len(one) + len(other)) // 2 + 2 for one, other in pairwise(self._names)]

    def heading(self) -> str:
        cells = [" "] * (self._width + _LEFT + max(map(len, self._names)))
        for name, at in zip(self._names, self._at.values(), strict=True):
            _write(cells, max(0, at - len(name) // 2), name)
        return "".join(cells).rstrip()

    def line(self, row: Row) -> str:
        """Return what is drawn for a row, without its time."""
        cells = [" "] * self._width
        for at in self._at.values():
            cells[at] = "│"
        if not row.source and not row.target:
            self._text(cells, row.label)
        elif row.source == row.target:
            self._to_itself(cells, row)
        else:
            self._arrow(cells, row)
        return "".join(cells)

    def _text(self, cells: list[str], text: str) -> None:
        first = self._at[next(iter(self._at))]
        if not text:
            return
        text = f" {_cut(text, max(4, self._last - first - 3))} "
        _write(cells, max(first + 2, (first + self._last + 1 - len(text)) // 2), text)

    def _to_itself(self, cells: list[str], row: Row) -> None:
        at = self._at[row.source]
        if at == self._last and len(self._at) > 1:
            text = _cut(row.label, self._gap - 4)
            _write(cells, at - len(text) - 2, f"{text} ↺")
        else:
            space = self._width - at if len(self._at) == 1 else self._gap
            _write(cells, at + 1, f"↺ {_cut(row.label, space - 4)}")

    def _arrow(self, cells: list[str], row: Row) -> None:
        start, stop, is_rightward = self._ends(row)
        low, high = (start + 1, stop - 1) if is_rightward else (stop + 1, start - 1)
        is_open = row.end != "arrived"
        if is_open:
            tip = self._tip(row, start, stop, is_rightward)
            low, high = (low, tip) if is_rightward else (tip, high)
        for at in range(low, high + 1):
            cells[at] = "┼" if cells[at] == "│" else "─"
        head = {"arrived": "▶" if is_rightward else "◀", "lost": "✗", "waiting": "…"}[row.end]
        cells[high if is_rightward else low] = head
        text = f" {_cut(row.label, max(1, high - low - 5))} "
        # Beside its sender, as one reads.
        _write(cells, low + 2 if is_rightward else high - 1 - len(text), text)

    def _ends(self, row: Row) -> tuple[int, int, bool]:
        """Return where an arrow starts, where it leads to, and whether that is to the right."""
        if row.source and row.target:
            start, stop = self._at[row.source], self._at[row.target]
            return start, stop, start < stop
        known = self._at[row.source or row.target]
        # Nobody knows where the other end is: a neighbour's column will do.
        reach = self._gap + 1 if self._gap else self._width - known
        to_right = known != self._last or not self._gap
        away = known + reach if to_right else known - reach
        return (known, away, to_right) if row.source else (away, known, not to_right)

    def _tip(self, row: Row, start: int, stop: int, is_rightward: bool) -> int:
        """Return where an arrow that does not arrive ends: in the gap where the packet was lost."""
        behind = self._at.get(row.stopped_behind, start)
        if not min(start, stop) <= behind <= max(start, stop):
            behind = start
        here = [at for at in self._at.values() if (at > behind if is_rightward else at < behind)]
        beyond = (min(here) if is_rightward else max(here)) if here else stop
        short = max(3, abs(beyond - behind) // _SHORT)
        return beyond - short if is_rightward else beyond + short


def _write(cells: list[str], at: int, text: str) -> None:
    for offset, letter in enumerate(text):
        if 0 <= at + offset < len(cells):
            cells[at + offset] = letter


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: max(0, most - 1)] + "…"
