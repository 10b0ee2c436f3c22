"""Writes result files so that nobody ever reads half of one, and reads the end of others."""

import json
import os
from typing import Any

_TAIL_BYTES = 1 << 16
_TAIL_LINES = 30


def write_file(path: str, content: bytes | str) -> None:
    """Write a file whole or not at all, whenever this process is killed.

    What is there already and is no ordinary file (``/dev/stdout``, a pipe) is written to as it is.
    """
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as file:
            file.write(data)
        return
    # One name for every try, so that what a killed process left is written over.
    unfinished = os.path.join(os.path.dirname(path), f".{os.path.basename(path)[:200]}.new")
    with open(unfinished, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)


def write_json(path: str, value: Any) -> None:  # noqa: ANN401  # whatever JSON can say
    """Write a value as JSON, as ``write_file`` does."""
    # Only ASCII: whatever a program has printed, every reader of the file can decode it.
    write_file(path, json.dumps(value, indent=2) + "\n")


def last_lines(fd: int) -> list[str]:
    """Return the last lines of a file, wherever its descriptor stands."""
    begin = max(0, os.fstat(fd).st_size - _TAIL_BYTES)
    text = os.pread(fd, _TAIL_BYTES, begin).decode(errors="replace")
    return text.splitlines()[-_TAIL_LINES:]
