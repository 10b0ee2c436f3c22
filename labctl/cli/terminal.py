"""How labctl speaks: errors, tables, colour, progress; everything goes through here or print."""

from __future__ import annotations

import os
import sys
import time

from labctl.errors import LabError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TextIO

_CODES = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "bold": "1", "dim": "2"}
_LOG_EVERY_S = 30.0


def has_colour(stream: TextIO) -> bool:
    """Whether to colour what goes to the stream: only a terminal's, and not under NO_COLOR."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def paint(text: str, colour: str, stream: TextIO | None = None) -> str:
    """Return the text in a colour, where the stream (stdout by default) shows colours."""
    if not has_colour(stream or sys.stdout):
        return text
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m"


def print_error(error: LabError) -> None:
    """Write one error to stderr: what, the program's last output if any, what to do next."""
    err = sys.stderr
    print(f"{paint('error:', 'red', err)} {error}", file=err)
    for line in error.output.splitlines():
        print(f"  | {line}", file=err)
    if error.hint:
        print(f"  {paint('hint:', 'blue', err)} {error.hint}", file=err)


def print_warning(text: str) -> None:
    """Write to stderr what the user should know, though it was done as asked."""
    print(f"{paint('warning:', 'yellow', sys.stderr)} {text}", file=sys.stderr)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns, left-aligned, two spaces apart."""
    widths = [max(len(row[i]) for row in [headings, *rows]) for i in range(len(headings))]
    for number, row in enumerate([headings, *rows]):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        line = "  ".join(cells).rstrip()
        print(paint(line, "bold") if number == 0 else line)


def print_json(value: object) -> None:
    """Print a value as JSON, indented for people and parseable by programs."""
    import json

    print(json.dumps(value, indent=2, ensure_ascii=False))


def ago(seconds: float) -> str:
    """Return a length of time in its largest fitting unit: ``5s``, ``3m``, ``2h``, ``4d``."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{int(max(seconds, 0))}s"


class ProgressLine:
    """A line on stderr that is written over while work goes on.

    Where that is no terminal, it is a line of its own twice a minute: a log shows that work goes on.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._shown = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._width = 0
        self._clock = clock
        self._logged_s = clock()

    def show(self, text: str) -> None:
        """Replace the line."""
        if self._shown:
            sys.stderr.write(f"\r{text.ljust(self._width)}")
            sys.stderr.flush()
            self._width = len(text)
        elif self._clock() - self._logged_s >= _LOG_EVERY_S:
            self._logged_s = self._clock()
            print(text, file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Wipe the line away."""
        if self._shown and self._width:
            sys.stderr.write(f"\r{' ' * self._width}\r")
            sys.stderr.flush()
            self._width = 0
