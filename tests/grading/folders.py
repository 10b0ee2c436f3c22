"""Looks into folders."""

from pathlib import Path


def names_in(folder: Path) -> list[str]:
    """Return the names of all entries, sorted."""
    return sorted(entry.name for entry in folder.iterdir())
