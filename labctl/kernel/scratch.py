"""Temporary folders that ``labctl gc`` removes where the labctl that made them was killed.

``BASE/PID.START.NAME.scratch``, a file beside the folders of the labs, says which process has
which folder: ``device inode path``. So nothing is ever found by the look of its name.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from labctl.kernel.state import base_directory, is_alive, open_process, start_time

_SUFFIX = ".scratch"


@contextmanager
def scratch_folder(prefix: str) -> Iterator[str]:
    """Make a folder for the block, only for this user; it is removed with all that is in it.

    Raises ``OSError`` where there is no room, and ``LabError`` of ``base_directory``.
    """
    base = base_directory()
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
        name = f"{os.getpid()}.{start_time('self')}.{os.path.basename(folder)}{_SUFFIX}"
        status = os.stat(folder)
        entry = os.path.join(base, name)
        with open(entry, "w") as file:
            file.write(f"{status.st_dev} {status.st_ino} {folder}")
        try:
            yield folder
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(entry)


def remove_abandoned() -> list[str]:
    """Remove the folders of processes that have ended without doing so; return their paths."""
    removed = []
    base = base_directory()
    for name in sorted(os.listdir(base)):
        if not name.endswith(_SUFFIX) or _is_owned(name):
            continue
        entry = os.path.join(base, name)
        try:
            if folder := _folder_of(entry):
                shutil.rmtree(folder)
                removed.append(folder)
            os.unlink(entry)
        except OSError:
            pass  # somebody else removes it too, or it is written to still: the next time
    return removed


def _folder_of(entry: str) -> str | None:
    """Return the folder that is meant, if it is there. Raises ``OSError``."""
    with open(entry) as file:
        words = file.read().split(" ", 2)
    try:
        device, inode, folder = int(words[0]), int(words[1]), words[2]
        status = os.lstat(folder)
    except (IndexError, ValueError, FileNotFoundError):
        return None
    # Since then the machine may have restarted, and somebody have made one of that name.
    return folder if (status.st_dev, status.st_ino) == (device, inode) else None


def _is_owned(name: str) -> bool:
    pid, start, _ = name.split(".", 2)
    pidfd = open_process(int(pid), int(start))
    if pidfd is None:
        return False
    try:
        return is_alive(pidfd)
    finally:
        os.close(pidfd)
