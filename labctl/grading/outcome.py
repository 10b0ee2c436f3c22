"""What became of a check, and of all checks of one submission, as values and as JSON."""

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, NamedTuple, get_args

FORMAT = 1

Visibility = Literal["visible", "after_due_date", "after_published", "hidden"]
"""To whom a check's result is shown; the words are Gradescope's."""

VISIBILITIES: tuple[str, ...] = get_args(Visibility)


class Outcome(StrEnum):
    """Whose turn it is now: nobody's, the learner's, an earlier check's, or ours."""

    PASSED = "passed"
    FAILED = "failed"
    """The program did not do what it should."""
    BLOCKED = "blocked"
    """Not judged, because an earlier check has to pass first."""
    BROKEN = "broken"
    """The lab or the check is at fault, never the learner: the result says nothing of the program."""


_EXIT_CODES = {Outcome.PASSED: 0, Outcome.FAILED: 1, Outcome.BLOCKED: 1, Outcome.BROKEN: 3}


class Evidence(NamedTuple):
    """What there is to look at, of a check that did not pass."""

    ladder: str = ""
    """Who sent what to whom, as a drawing in text."""
    programs: str = ""
    """What the programs printed last, and how they ended."""
    pcap: str = ""
    """Path of the packets, for Wireshark."""
    traceback: str = ""
    """Of a broken check only: it is for the author, not for the learner."""


class CheckResult(NamedTuple):
    """One check of one submission."""

    name: str
    """The test function."""
    title: str
    """Its docstring: what the learner reads."""
    outcome: Outcome
    points: float = 0.0
    """What it is worth; it is all or nothing."""
    visibility: str = "visible"
    expected: str = ""
    actual: str = ""
    hint: str = ""
    blocked_by: str = ""
    """Title of the check that has to pass first."""
    seed: int = 0
    """With which it runs the same way again."""
    seconds: float = 0.0
    evidence: Evidence = Evidence()

    @property
    def score(self) -> float:
        """Return its points if it passed."""
        return self.points if self.outcome is Outcome.PASSED else 0.0


class Report(NamedTuple):
    """All checks of one submission."""

    exercise: str
    submission: str
    seed: int
    checks: tuple[CheckResult, ...]
    problem: str = ""
    """Why no check could run, where that is so: then ``outcome`` is broken."""
    seconds: float = 0.0

    @property
    def outcome(self) -> Outcome:
        """Return passed if all checks did; broken if any is, because then nothing is certain."""
        outcomes = {check.outcome for check in self.checks}
        if self.problem or not outcomes or Outcome.BROKEN in outcomes:
            return Outcome.BROKEN
        return Outcome.PASSED if outcomes == {Outcome.PASSED} else Outcome.FAILED

    @property
    def exit_code(self) -> int:
        """Return 0 where all passed, 1 where one failed, 3 where one is broken."""
        return _EXIT_CODES[self.outcome]

    @property
    def score(self) -> float:
        """Return the points reached."""
        return math.fsum(check.score for check in self.checks)

    @property
    def max_score(self) -> float:
        """Return the points that all checks are worth together."""
        return math.fsum(check.points for check in self.checks)

    def count(self, outcome: Outcome) -> int:
        """Return how many checks came out like that."""
        return sum(check.outcome is outcome for check in self.checks)


_WORST_FIRST = (Outcome.BROKEN, Outcome.FAILED, Outcome.BLOCKED, Outcome.PASSED)


def merged(results: Sequence[CheckResult]) -> CheckResult:
    """Return one result for a check that ran several times, under several seeds.

    It is the worst of them, the first of that kind: points are for passing under all seeds.
    """
    worst = min(results, key=lambda result: _WORST_FIRST.index(result.outcome))
    return worst._replace(seconds=math.fsum(result.seconds for result in results))


def check_as_json(check: CheckResult) -> dict[str, Any]:
    """Return a check as ``report_as_json`` has it."""
    return {
        **check._asdict(),
        "outcome": check.outcome.value,
        "evidence": check.evidence._asdict(),
        "score": check.score,
    }


def check_from_json(value: Mapping[str, Any]) -> CheckResult:
    """Return what ``check_as_json`` made. Raises ``ValueError`` for anything else."""
    try:
        fields = {key: value[key] for key in CheckResult._fields}
        return CheckResult(
            **{
                **fields,
                "outcome": Outcome(value["outcome"]),
                "evidence": Evidence(**value["evidence"]),
            }
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the result of a check: {error}") from None


def report_as_json(report: Report) -> dict[str, Any]:
    """Return a report as plain values; ``format`` tells a later labctl how to read it."""
    return {
        "format": FORMAT,
        **report._asdict(),
        "checks": [check_as_json(check) for check in report.checks],
        "outcome": report.outcome.value,
        "score": report.score,
        "max_score": report.max_score,
    }


def report_from_json(value: Mapping[str, Any]) -> Report:
    """Return what ``report_as_json`` made. Raises ``ValueError`` for anything else."""
    if value.get("format") != FORMAT:
        raise ValueError(f"results in format {value.get('format')!r}, not {FORMAT}")
    try:
        fields = {key: value[key] for key in Report._fields}
        return Report(**{**fields, "checks": tuple(map(check_from_json, value["checks"]))})
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the results of a submission: {error}") from None
