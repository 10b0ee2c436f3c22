"""Builds reports as checks would have made them."""

from labctl.grading.outcome import CheckResult, Evidence, Outcome, Report

PASSED, FAILED, BLOCKED, BROKEN = (
    Outcome.PASSED,
    Outcome.FAILED,
    Outcome.BLOCKED,
    Outcome.BROKEN,
)

NOTHING_TO_SEE = Evidence()

HOSTILE = 'a\x1b[2J\x00\x9b1m]]><b>&"\u202e\ud800\ufffe\r\n\tz'
"""Escape codes, what XML forbids or obeys, what turns text around, and half a letter."""


def a_check(
    outcome: Outcome = PASSED,
    title: str = "it answers",
    *,
    name: str = "",
    points: float = 2.0,
    expected: str = "",
    actual: str = "",
    hint: str = "",
    blocked_by: str = "",
    visibility: str = "visible",
    evidence: Evidence = NOTHING_TO_SEE,
) -> CheckResult:
    """Return a check; its name is made of its title."""
    return CheckResult(
        name or f"test_{title.replace(' ', '_')}",
        title,
        outcome,
        points,
        visibility,
        expected,
        actual,
        hint,
        blocked_by,
        seconds=0.25,
        evidence=evidence,
    )


def a_report(*checks: CheckResult, submission: str = "anna", problem: str = "") -> Report:
    """Return a report of these checks."""
    return Report("echo", submission, 1, checks, problem, 1.5)


HALF_BROKEN = a_report(
    a_check(PASSED, "it starts", points=1),
    a_check(BROKEN, "it answers", points=2, actual="no namespace"),
    a_check(BLOCKED, "it answers twice", points=3, blocked_by="it answers"),
    a_check(BLOCKED, "it answers for ever", points=4, blocked_by="it answers twice"),
    a_check(FAILED, "it ends", points=5, expected="exit status 0", actual="exit status 1"),
)
"""One check that could not be judged, two that hang on it, one lost and one won."""
