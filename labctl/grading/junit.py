"""Reports as JUnit XML, which GitLab, Jenkins and most other CI servers show."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from labctl.grading.outcome import CheckResult, Outcome, Report
from labctl.grading.text import check_lines, one_line, printable


def reports_as_junit(reports: Sequence[Report]) -> bytes:
    """Return one document: a suite a submission, a case a check.

    A failed check is a failure, a broken one an error, a blocked one is skipped: so a CI server
    tells a program that is wrong from a machine that could not judge it.
    """
    suites = [_suite(report) for report in reports]
    root = Element("testsuites", _sums(suites))
    root.extend(suites)
    indent(root)
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


_COUNTED = ("tests", "failures", "errors", "skipped")


def _sums(suites: Sequence[Element]) -> dict[str, str]:
    return {name: str(sum(int(suite.attrib[name]) for suite in suites)) for name in _COUNTED}


def _suite(report: Report) -> Element:
    classname = f"{_attribute(report.exercise)}.{_attribute(report.submission)}"
    suite = Element(
        "testsuite",
        {
            "name": classname,
            "tests": str(len(report.checks) + bool(report.problem)),
            "failures": str(report.count(Outcome.FAILED)),
            "errors": str(report.count(Outcome.BROKEN) + bool(report.problem)),
            "skipped": str(report.count(Outcome.BLOCKED)),
            "time": f"{report.seconds:.3f}",
        },
    )
    properties = SubElement(suite, "properties")
    SubElement(properties, "property", {"name": "seed", "value": str(report.seed)})
    for check in report.checks:
        suite.append(_case(check, classname))
    if report.problem:
        case = SubElement(suite, "testcase", {"classname": classname, "name": "labctl"})
        error = SubElement(case, "error", {"type": "broken", "message": _attribute(report.problem)})
        error.text = printable(report.problem)
    return suite


def _case(check: CheckResult, classname: str) -> Element:
    case = Element(
        "testcase",
        {
            "classname": classname,
            "name": _attribute(check.title or check.name),
            "time": f"{check.seconds:.3f}",
        },
    )
    lines = check_lines(check)
    match check.outcome:
        case Outcome.PASSED:
            pass
        case Outcome.BLOCKED:
            SubElement(case, "skipped", {"message": _attribute(f"waits for {check.blocked_by}")})
        case Outcome.FAILED:
            message = f"expected: {check.expected}; actual: {check.actual}"
            _add_text(SubElement(case, "failure", _failed("unmet", message)), lines)
        case Outcome.BROKEN:
            message = lines[1]
            _add_text(SubElement(case, "error", _failed("broken", message)), lines)
    return case


def _failed(kind: str, message: str) -> dict[str, str]:
    return {"type": kind, "message": _attribute(message)}


def _add_text(element: Element, lines: Sequence[str]) -> None:
    element.text = "\n".join(lines).rstrip()


def _attribute(text: str) -> str:
    # What is printable is also what XML allows: it forbids most control characters, even escaped.
    return one_line(text)
