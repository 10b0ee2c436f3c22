"""Removes folders, with nothing but ``os``: importing ``shutil`` takes longer than ``down`` has."""

import errno
import os


def empty_folder(path: str, but: str = "") -> None:
    """Remove all that is in a folder, while a labctl that joins or leaves may add and remove."""
    try:
        entries = list(os.scandir(path))
    except FileNotFoundError:
        return
    for entry in entries:
        try:
            if entry.name == but:
                continue
            if entry.is_dir(follow_symlinks=False):
                _remove_folder(entry.path)
            else:
                os.unlink(entry.path)
        except FileNotFoundError:
            pass


def _remove_folder(path: str) -> None:
    while True:
        empty_folder(path)
        try:
            return os.rmdir(path)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
