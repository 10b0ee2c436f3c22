from xml.etree import ElementTree

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labctl.grading.junit import reports_as_junit
from labctl.grading.outcome import Evidence
from tests.grading.reports import FAILED, HALF_BROKEN, HOSTILE, PASSED, a_check, a_report


def _suite(document: bytes) -> ElementTree.Element:
    root = ElementTree.fromstring(document)
    assert root.tag == "testsuites"
    [suite] = root.findall("testsuite")
    return suite


def test_each_outcome_has_the_element_that_ci_servers_know() -> None:
    suite = _suite(reports_as_junit([HALF_BROKEN]))
    cases = suite.findall("testcase")

    assert [[child.tag for child in case] for case in cases] == [
        [],
        ["error"],
        ["skipped"],
        ["skipped"],
        ["failure"],
    ]
    assert [case.attrib["name"] for case in cases][:2] == ["it starts", "it answers"]
    assert {case.attrib["classname"] for case in cases} == {"echo.anna"}


def test_the_counts_are_those_of_the_cases() -> None:
    suite = _suite(reports_as_junit([HALF_BROKEN]))

    counts = {name: suite.attrib[name] for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "5", "failures": "1", "errors": "1", "skipped": "2"}


def test_a_failure_says_what_a_learner_reads() -> None:
    failed = a_check(FAILED, expected="hi", actual="nothing", hint="recv()")
    failure = _suite(reports_as_junit([a_report(failed)])).find("testcase/failure")

    assert failure is not None
    assert failure.attrib["message"] == "expected: hi; actual: nothing"
    assert "hint: recv()" in (failure.text or "")


def test_a_submission_that_could_not_be_judged_is_an_error() -> None:
    suite = _suite(reports_as_junit([a_report(problem="no lab")]))

    assert suite.attrib["errors"] == suite.attrib["tests"] == "1"
    error = suite.find("testcase/error")
    assert error is not None
    assert error.attrib["message"] == "no lab"


def test_a_class_is_one_document_with_the_sums_at_its_top() -> None:
    root = ElementTree.fromstring(
        reports_as_junit([HALF_BROKEN, a_report(a_check(PASSED), submission="ben")])
    )

    assert [suite.attrib["name"] for suite in root] == ["echo.anna", "echo.ben"]
    assert root.attrib["tests"] == "6"
    assert root.attrib["failures"] == "1"


def test_hostile_text_comes_back_as_escapes_and_breaks_out_of_nothing() -> None:
    failed = a_check(FAILED, HOSTILE, actual=HOSTILE, evidence=Evidence(programs=HOSTILE))
    suite = _suite(reports_as_junit([a_report(failed, submission=HOSTILE)]))
    [case] = suite.findall("testcase")

    assert case.attrib["name"].startswith('a\\x1b[2J\\x00\\x9b1m]]><b>&"')
    assert [child.tag for child in case] == ["failure"]
    assert "]]><b>" in (case[0].text or "")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters()))
def test_the_document_is_xml_whatever_is_in_it(text: str) -> None:
    failed = a_check(FAILED, text, actual=text, evidence=Evidence(ladder=text))
    ElementTree.fromstring(reports_as_junit([a_report(failed, submission=text, problem=text)]))
