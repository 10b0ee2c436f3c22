"""Results as a table, as JSON and as the results section of the README."""

import datetime
import os
import platform
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.bench import Row
from benchmarks.measure import CONFIDENCE, Comparison
from labctl.errors import LabError

BEGIN = "<!-- results: written by run.py --write-readme -->"
END = "<!-- end of results -->"

_HEADINGS = ("what (rounds)", "labctl", "against", "", "ratio", "budget", "")


class Result(NamedTuple):
    """A row after its turn: a comparison, or the reason why there is none."""

    row: Row
    comparison: Comparison | None
    reason: str = ""
    failed: bool = False
    """Whether something broke, as against a row that this machine cannot measure."""


def table(results: Sequence[Result]) -> Iterator[str]:
    """Yield the lines of a table that reads well as text and as Markdown."""
    cells = [
        _HEADINGS,
        *(
            _cells(result.row.title, result.comparison)
            for result in results
            if result.comparison is not None
        ),
    ]
    widths = [max(3, *(len(line[column]) for line in cells)) for column in range(len(_HEADINGS))]
    for number, line in enumerate(cells):
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        yield f"| {' | '.join(padded)} |"
        if number == 0:
            yield f"| {' | '.join('-' * width for width in widths)} |"
    missing = [result for result in results if result.comparison is None]
    if missing:
        yield ""
    for result in missing:
        yield f"* {'failed' if result.failed else 'left out'}: {result.row.title}: {result.reason}"


def _cells(title: str, comparison: Comparison) -> tuple[str, ...]:
    budget = comparison.budget
    against = " + ".join(
        name if weight == 1 else f"{weight:g} x {name}" for name, weight in budget.against.items()
    )
    interval = comparison.interval()
    ratio = f"{comparison.ratio():.2f}"
    if interval is not None:
        ratio += f" [{interval[0]:.2f}, {interval[1]:.2f}]"
    return (
        f"{title} ({comparison.rounds()})",
        _milliseconds(comparison.subject_ms(), comparison.subject_ms(min)),
        against,
        _milliseconds(comparison.against_ms(), comparison.against_ms(min)),
        ratio,
        "" if budget.limit is None else f"{budget.limit:g}",
        comparison.verdict(),
    )


def _milliseconds(middle: float, least: float) -> str:
    digits = 0 if middle >= 100 else 1
    return f"{middle:.{digits}f} ({least:.{digits}f}) ms"


def as_json(results: Sequence[Result]) -> dict[str, object]:
    """Return everything that was measured, with every sample."""
    return {
        "format": 1,
        "machine": machine(),
        "confidence": CONFIDENCE,
        "rows": [_row_as_json(result) for result in results],
    }


def _row_as_json(result: Result) -> dict[str, object]:
    row: dict[str, object] = {"row": result.row.key, "title": result.row.title}
    comparison = result.comparison
    if comparison is None:
        return {**row, "failed" if result.failed else "left_out": result.reason}
    return {
        **row,
        "subject": comparison.budget.subject,
        "against": dict(comparison.budget.against),
        "budget": comparison.budget.limit,
        "ratio": comparison.ratio(),
        "interval": comparison.interval(),
        "verdict": comparison.verdict() or None,
        "contenders": {
            name: {"median_ms": median(values), "min_ms": min(values), "ms": list(values)}
            for name, values in comparison.samples.items()
        },
    }


def machine() -> dict[str, str]:
    """Return what a reader needs to know to place the times; nothing that names the machine."""
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "processor": f"{os.cpu_count()} x {_processor()}",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "system": _system(),
        "kernel": f"Linux {re.match('[0-9.]*', platform.release())[0]}",  # type: ignore[index]
        "python": platform.python_version(),
    }


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"


def readme_section(results: Sequence[Result]) -> str:
    """Return what stands between the markers of the README."""
    facts = machine()
    return "\n".join(
        [
            BEGIN,
            "",
            f"Measured {facts['date']} on {facts['processor']}, {facts['memory']}, "
            f"{facts['system']}, {facts['kernel']}, Python {facts['python']}.",
            "",
            *table(results),
            "",
            END,
        ]
    )


def with_section(readme: str, section: str) -> str:
    """Return the README's text with the part between the markers replaced."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise LabError(
            "no place for results",
            where="benchmarks/README.md",
            hint=f'put "{BEGIN}" and "{END}" on lines of their own',
        )
    return before + section + after
