"""All problems of one lab file, each at its line, raised together."""

from typing import NamedTuple

from labctl.errors import LabError, LabErrors

Loc = tuple[str | int, ...]
"""The way to a value: the keys and list positions from the top of the file."""


class Place(NamedTuple):
    """Where a value stands, and where the values inside it stand."""

    line: int
    key_line: int
    inside: dict[str | int, "Place"]


class Problems:
    """Collects what is wrong with one file; nothing is raised before ``raise_all``."""

    def __init__(self, path: str, *, rendered: bool, places: Place | None = None) -> None:
        self.path = path
        self.places = places or Place(1, 1, {})
        self.rendered = rendered
        self._found: list[tuple[int, LabError]] = []

    def __len__(self) -> int:
        return len(self._found)

    def where(self, line: int) -> str:
        """Return ``file:line``; for a template the line is that of what it was rendered to."""
        return f"{self.path}:{line}{' (rendered)' if self.rendered else ''}"

    def line(self, loc: Loc, *, of_key: bool = False) -> int:
        """Return the line of the value, or of the innermost value around it that was written."""
        place = self.places
        for step in loc:
            inner = place.inside.get(step)
            if inner is None:
                return place.line
            place = inner
        return place.key_line if of_key else place.line

    def add(self, loc: Loc, problem: str, hint: str = "", *, of_key: bool = False) -> None:
        """Report a problem with the value at ``loc``."""
        self.add_at_line(self.line(loc, of_key=of_key), problem, hint)

    def add_at_line(self, line: int, problem: str, hint: str = "") -> None:
        """Report a problem at a line."""
        self._found.append((line, LabError(problem, where=self.where(line), hint=hint)))

    def raise_all(self) -> None:
        """Raise what was found, in the order of the file, if anything was."""
        if self._found:
            self._found.sort(key=lambda found: found[0])
            raise LabErrors([error for _, error in self._found])
