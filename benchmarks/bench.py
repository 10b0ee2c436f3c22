"""What every row of the table is given, and what it gives."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from benchmarks.contenders import Labctl, in_scratch, run, wait_for_freed_namespaces
from benchmarks.measure import Budget, Comparison, take_turns
from labctl.errors import LabError


class Bench(NamedTuple):
    """Where a row is measured, and how often."""

    folder: Path
    """For what is compiled and cached; private to this run of the benchmarks."""
    rounds: int
    progress: Callable[[int], None]

    def compare(
        self,
        subject: str,
        against: Mapping[str, float],
        limit: float | None,
        contenders: Mapping[str, Callable[[], float]],
    ) -> Comparison:
        """Let the contenders take turns; ``against`` has the weight of each."""
        settle = wait_for_freed_namespaces if in_scratch() else lambda: None
        samples = take_turns(contenders, self.rounds, between=settle, progress=self.progress)
        return Comparison(Budget(subject, against, limit), samples)

    def clear(self) -> None:
        """Remove what a row left that did not come to its end."""
        with suppress(LabError):
            Labctl(self.folder).run("down", "--all")
        if in_scratch():
            for name in Path("/run/netns").glob("*"):
                with suppress(LabError):
                    run(["ip", "netns", "del", name.name])


class Row(NamedTuple):
    """One line of the table."""

    key: str
    """For ``--only``."""
    title: str
    measure: Callable[[Bench], Comparison]
    rounds: int
    needs_root: bool = True
