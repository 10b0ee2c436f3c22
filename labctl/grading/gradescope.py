"""A report as the ``results.json`` that Gradescope reads from an autograder."""

from typing import Any

from labctl.grading.outcome import VISIBILITIES, CheckResult, Outcome, Report
from labctl.grading.text import check_lines, one_line, open_checks, open_points, points

_HIDDEN = "hidden"


def report_as_gradescope(report: Report, *, still_to_come: int = 0) -> dict[str, Any]:
    """Return the object to write; ``still_to_come`` counts the checks that have not ended yet.

    Gradescope adds up the scores of the tests. A check that could not be judged, and those that
    wait for it, are worth 0 of 0 there, are called so in their names, and the points that are open
    stand above all tests: nobody reads them as lost. Where nothing was judged there is no score at
    all, which Gradescope reports to the instructor instead of recording a zero.
    """
    return {
        "execution_time": round(report.seconds),
        "output": "\n".join(_said_of_all(report, still_to_come)),
        "output_format": "text",
        "visibility": "visible",
        # What labctl prints names hidden checks.
        "stdout_visibility": _HIDDEN,
        "extra_data": {
            "labctl": {
                "outcome": "unfinished" if still_to_come else report.outcome.value,
                "open_points": open_points(report),
                "seed": report.seed,
            }
        },
        "tests": [_test(check, report) for check in report.checks],
    }


def _said_of_all(report: Report, still_to_come: int) -> list[str]:
    lines = []
    if still_to_come:
        lines.append(
            f"The checks did not come to their end: {still_to_come} are not judged. Their points "
            "are open, not lost. Ask the course's staff to run the autograder again."
        )
    if report.problem:
        lines.append(f"Not judged, through no fault of your program: {one_line(report.problem)}")
        lines.append("Ask the course's staff to run the autograder again.")
    elif is_open := open_points(report):
        lines.append(
            f"{points(is_open)} points are open, not lost: some checks could not be judged, "
            "through no fault of your program. Ask the course's staff to run the autograder again."
        )
    lines.append(f"seed {report.seed}")
    return lines


def _test(check: CheckResult, report: Report) -> dict[str, Any]:
    is_open = check in open_checks(report)
    name = one_line(check.title or check.name)
    return {
        "score": check.score,
        "max_score": 0.0 if is_open else check.points,
        "status": "passed" if check.outcome is Outcome.PASSED else "failed",
        "name": f"not judged: {name}" if is_open else name,
        "name_format": "text",
        "output": "\n".join(check_lines(_as_seen(check, report))).rstrip(),
        "output_format": "text",
        # One that is misspelt is kept from students rather than shown to them.
        "visibility": check.visibility if check.visibility in VISIBILITIES else _HIDDEN,
    }


def _as_seen(check: CheckResult, report: Report) -> CheckResult:
    """Return the check without the name of a hidden one that blocks it, and without our paths."""
    if check.outcome is Outcome.BROKEN:
        check = check._replace(
            actual="the course's staff see the reason in the autograder's output"
        )
    blockers = [other for other in report.checks if other.title == check.blocked_by]
    is_shown = any(other.visibility == check.visibility for other in blockers)
    return check._replace(
        blocked_by=check.blocked_by if is_shown else "",
        evidence=check.evidence._replace(pcap="", traceback=""),
    )
