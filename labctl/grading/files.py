"""Writes result files so that nobody ever reads half of one."""

import json
import os
from typing import Any


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
