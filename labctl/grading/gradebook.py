"""A class as a table: who reached how many points, in which checks."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from labctl.grading.outcome import FORMAT, CheckResult, Outcome, Report, report_as_json
from labctl.grading.text import points, printable

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def reports_as_csv(reports: Sequence[Report]) -> str:
    """Return a table for a spreadsheet: a row a submission, a column a check.

    Where anything could not be judged there is no score, so that a gradebook which takes the file
    records nothing, rather than too little.
    """
    checks = list(dict.fromkeys(check.name for report in reports for check in report.checks))
    worth = max((report.max_score for report in reports), default=0.0)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["name", "score", "max", "outcome", *map(_word, checks)])
    for report in reports:
        cells = {check.name: _cell(check) for check in report.checks}
        table.writerow(
            [
                _word(report.submission),
                "" if report.outcome is Outcome.BROKEN else points(report.score),
                points(worth if report.problem else report.max_score),
                report.outcome.value,
                *(cells.get(name, "") for name in checks),
            ]
        )
    return text.getvalue()


def _cell(check: CheckResult) -> str:
    return "broken" if check.outcome is Outcome.BROKEN else points(check.score)


def _word(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    text = printable(text).replace("\n", "\\n")
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def reports_as_json(exercise: str, seed: int, reports: Sequence[Report]) -> dict[str, Any]:
    """Return all results of a class as plain values."""
    return {
        "format": FORMAT,
        "exercise": exercise,
        "seed": seed,
        "submissions": [report_as_json(report) for report in reports],
    }


def summary_rows(reports: Sequence[Report]) -> list[tuple[str, str, str]]:
    """Return name, points and failed checks of each submission that was judged."""
    return [
        (
            report.submission,
            f"{points(report.score)} of {points(report.max_score)}",
            ", ".join(check.name for check in report.checks if check.outcome is Outcome.FAILED),
        )
        for report in reports
        if report.outcome is not Outcome.BROKEN
    ]
