"""Tells when the files of a folder change."""

import os
from collections.abc import Iterator

from watchfiles import DefaultFilter, watch

from labctl.errors import machine_error

_GATHER_MS = 300
"""An editor that saves a file writes, renames and removes several."""

_BEGIN_WITHIN_MS = 100


class _Sources(DefaultFilter):
    """What a person edits: not what editors, compilers and labctl itself leave beside it."""

    ignore_dirs = (*DefaultFilter.ignore_dirs, ".labctl")
    ignore_entity_patterns = (*DefaultFilter.ignore_entity_patterns, r"\.o$", r"^4913$")


def changes(folder: str) -> Iterator[list[str]]:
    """Yield an empty list at once, then the names of what changed, each time something did.

    What changes while the caller is busy is told when it comes back. Raises ``LabError`` where the
    machine watches nothing more.
    """
    top = os.path.realpath(folder)
    started = False
    try:
        for found in watch(
            top,
            watch_filter=_Sources(),
            debounce=4 * _GATHER_MS,
            step=_GATHER_MS,
            rust_timeout=_BEGIN_WITHIN_MS,
            yield_on_timeout=True,
        ):
            if not started:
                started = True
                yield []
            if names := sorted({os.path.relpath(path, top) for _, path in found}):
                yield names
    except OSError as error:
        raise machine_error(
            f"changes cannot be watched: {str(error).lower()}",
            where=folder,
            hint="is the folder large? `sysctl fs.inotify.max_user_watches` says how much can be "
            "watched",
        ) from None
