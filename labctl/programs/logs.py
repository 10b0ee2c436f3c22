"""Reads the output that the holder keeps of each program."""

import io
import os
from collections.abc import Iterator

from labctl.kernel.output import read_pieces
from labctl.kernel.state import LabState

TAIL_LINES = 10


def read_pieces_of(state: LabState, name: str) -> Iterator[tuple[int, bytes]]:
    """Yield (nanoseconds since 1970, bytes) of all that is kept of a program's output."""
    for path in (state.file(f"logs/{name}.old"), state.file(f"logs/{name}")):
        try:
            with open(path, "rb") as file:
                yield from read_pieces(file)
        except FileNotFoundError:
            continue


def read_log(state: LabState, name: str) -> bytes:
    """Return all that is kept of a program's output."""
    return b"".join(data for _, data in read_pieces_of(state, name))


def tail(output: bytes, lines: int = TAIL_LINES) -> str:
    """Return the last lines as text, whatever bytes they are."""
    return "\n".join(output.decode(errors="replace").splitlines()[-lines:])


def timed_lines(state: LabState, name: str) -> Iterator[tuple[float, bytes]]:
    """Yield (seconds since 1970, line with its end) of a program's output."""
    line, began = io.BytesIO(), 0
    for now_ns, data in read_pieces_of(state, name):
        for part in data.splitlines(keepends=True):
            if not line.tell():
                began = now_ns
            line.write(part)
            if part.endswith(b"\n"):
                yield began / 1e9, line.getvalue()
                line = io.BytesIO()
    if line.tell():
        yield began / 1e9, line.getvalue()


class Follower:
    """Reads a program's output as it comes. Iterating ``new()`` again gives what came since."""

    def __init__(self, state: LabState, name: str) -> None:
        self._path = state.file(f"logs/{name}")
        self._file = open(self._path, "rb")  # noqa: SIM115 - read on at each call

    def new(self) -> bytes:
        """Return the output since the last call; follows the file when a new one is begun."""
        output = self._read()
        try:
            newest = open(self._path, "rb")  # noqa: SIM115 - becomes the one above
        except FileNotFoundError:
            # The holder is between setting the old one aside and beginning the new one, or the
            # lab went down.
            return output + self._read()
        if os.path.samestat(os.fstat(self._file.fileno()), os.fstat(newest.fileno())):
            newest.close()
            return output
        # Once it has been set aside nothing is added to it: now it can be read to its end.
        output += self._read()
        self._file.close()
        self._file = newest
        return output + self._read()

    def _read(self) -> bytes:
        return b"".join(data for _, data in read_pieces(self._file))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
