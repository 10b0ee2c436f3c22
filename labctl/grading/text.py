"""A report as text: what a learner reads, in a terminal or in a file."""

from collections.abc import Callable, Iterator

from labctl.grading.outcome import CheckResult, Outcome, Report

Paint = Callable[[str, str], str]
"""Puts a text into a colour: ``paint(text, "red")``."""

_MARKS = {
    Outcome.PASSED: ("✓", "green"),
    Outcome.FAILED: ("✗", "red"),
    Outcome.BLOCKED: ("–", "yellow"),
    Outcome.BROKEN: ("!", "yellow"),
}

_NOT_YOUR_FAULT = "not judged: this is not your program's fault"

_MOST_COLUMNS = 400
_MOST_LINES_SAID = 12
_MOST_LINES_PRINTED = 40
_MOST_LINES_DRAWN = 60


def unpainted(text: str, _colour: str) -> str:
    """Return the text as it is: the ``Paint`` for files."""
    return text


def report_lines(report: Report, paint: Paint = unpainted) -> list[str]:
    """Return every check of a report and what they come to."""
    lines = [line for check in report.checks for line in check_lines(check, paint)]
    if lines and lines[-1]:
        lines.append("")
    return [*lines, *summary_lines(report, paint)]


def check_lines(check: CheckResult, paint: Paint = unpainted) -> list[str]:
    """Return one check: a line where it passed, and what there is to know where it did not."""
    mark, colour = _MARKS[check.outcome]
    title = f"{paint(mark, colour)} {one_line(check.title or check.name)}"
    match check.outcome:
        case Outcome.PASSED:
            return [title]
        case Outcome.BLOCKED:
            return [f"{title}   {paint(f'(not checked: {_blocker(check)})', 'dim')}"]
        case Outcome.FAILED:
            return [title, *_verdict(check), *_evidence(check, paint), ""]
        case Outcome.BROKEN:
            reason = one_line(why_broken(check))
            return [
                title,
                f"      {_NOT_YOUR_FAULT}: {reason}",
                *_evidence(check, paint),
                *_block(check.evidence.traceback, _MOST_LINES_PRINTED, paint),
                "",
            ]


def summary_lines(report: Report, paint: Paint = unpainted) -> list[str]:
    """Return what the checks come to, last of all what could not be judged and why."""
    lines = []
    if report.checks:
        colour = {Outcome.PASSED: "green", Outcome.FAILED: "red"}.get(report.outcome, "yellow")
        lines.append(paint(_counted(report), colour))
    if report.problem:
        mark, colour = _MARKS[Outcome.BROKEN]
        problem, _, output = report.problem.strip().partition("\n")
        lines.append(f"{paint(mark, colour)} {_NOT_YOUR_FAULT}: {one_line(problem)}")
        lines.extend(_block(output, _MOST_LINES_PRINTED, paint))
    elif not report.checks:
        lines.append("no check was run")
    return lines


def _counted(report: Report) -> str:
    passed, every = report.count(Outcome.PASSED), len(report.checks)
    said = f"{passed} of {every} {'check' if every == 1 else 'checks'} passed"
    if report.max_score:
        said += f", {points(report.score)} of {points(report.max_score)} points"
    if broken := report.count(Outcome.BROKEN):
        said += f"; {broken} not judged"
        if is_open := open_points(report):
            said += f", so {points(is_open)} point{' is' if is_open == 1 else 's are'} open"
    return said


def open_points(report: Report) -> float:
    """Return the points that are neither won nor lost."""
    return sum(check.points for check in open_checks(report))


def open_checks(report: Report) -> list[CheckResult]:
    """Return the checks that could not be judged, and those that have to wait for one of them."""
    found: list[CheckResult] = []
    # A check stands after those that it needs, so one pass finds all that hang on a broken one.
    for check in report.checks:
        waits = check.outcome is Outcome.BLOCKED and any(
            check.blocked_by == other.title for other in found
        )
        if check.outcome is Outcome.BROKEN or waits:
            found.append(check)
    return found


def why_broken(check: CheckResult) -> str:
    """Return in one sentence what kept a check from judging."""
    last_line = check.evidence.traceback.strip().rpartition("\n")[2]
    return check.actual or last_line or check.hint or "the check did not say why"


def why_not_judged(report: Report) -> str:
    """Return in one sentence why a report as a whole is broken; empty where it is not."""
    if report.problem:
        return one_line(report.problem.strip().partition("\n")[0])
    for check in report.checks:
        if check.outcome is Outcome.BROKEN:
            return f'"{one_line(check.title)}": {one_line(why_broken(check))}'
    return "" if report.checks else "no check was run"


def points(value: float) -> str:
    """Return points as people write them: ``3``, ``2.5``."""
    return f"{round(value, 2):.2f}".rstrip("0").rstrip(".")


def one_line(text: str) -> str:
    """Return the text in one line, cut where it is long, and with nothing a terminal obeys."""
    return _cut(printable(text.strip().replace("\n", " ")))


def printable(text: str) -> str:
    """Return the text with escapes for whatever a terminal would obey or would not show."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1]
        for letter in text.expandtabs(8)
    )


def _cut(line: str) -> str:
    return line if len(line) <= _MOST_COLUMNS else f"{line[: _MOST_COLUMNS - 1]}…"


def _blocker(check: CheckResult) -> str:
    if not check.blocked_by:
        return "an earlier check has to pass first"
    return f'"{one_line(check.blocked_by)}" has to pass first'


def _verdict(check: CheckResult) -> Iterator[str]:
    for label, text in (
        ("expected", check.expected),
        ("actual", check.actual),
        ("hint", check.hint),
    ):
        if text.strip():
            lines = _bounded(text, _MOST_LINES_SAID)
            yield f"{label:>14}: {lines[0]}"
            yield from (f"{'':16}{line}" for line in lines[1:])


def _evidence(check: CheckResult, paint: Paint) -> Iterator[str]:
    evidence = check.evidence
    if evidence.programs.strip():
        yield from _block(evidence.programs, _MOST_LINES_PRINTED, paint)
    if evidence.ladder.strip():
        yield from _block(evidence.ladder, _MOST_LINES_DRAWN, unpainted)
    if evidence.pcap:
        yield f"    {paint('packets:', 'dim')} {one_line(evidence.pcap)}"


def _block(text: str, most: int, paint: Paint) -> Iterator[str]:
    if text.strip():
        for line in _bounded(text, most):
            yield f"    {paint(line, 'dim')}".rstrip()


def _bounded(text: str, most: int) -> list[str]:
    """Return the lines that may be shown: of many the first and the last."""
    lines = text.strip("\n").split("\n")
    if len(lines) > most:
        head, tail = most // 2, most - most // 2
        left_out = f"… {len(lines) - most} lines left out …"
        lines = [*lines[:head], left_out, *lines[-tail:]]
    return [_cut(printable(line).rstrip()) for line in lines]
