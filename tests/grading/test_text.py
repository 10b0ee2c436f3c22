import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labctl.grading.outcome import Evidence
from labctl.grading.text import (
    check_lines,
    one_line,
    open_checks,
    open_points,
    points,
    printable,
    report_lines,
    summary_lines,
    why_not_judged,
)
from tests.grading.reports import (
    BLOCKED,
    BROKEN,
    FAILED,
    HALF_BROKEN,
    HOSTILE,
    PASSED,
    a_check,
    a_report,
)


def test_a_check_that_passed_is_one_line() -> None:
    assert check_lines(a_check(PASSED)) == ["✓ it answers"]


def test_a_failed_check_says_what_was_expected_what_came_and_a_hint() -> None:
    failed = a_check(FAILED, expected="b'hi' within 2 s", actual="nothing", hint="look at recv()")

    assert check_lines(failed) == [
        "✗ it answers",
        "      expected: b'hi' within 2 s",
        "        actual: nothing",
        "          hint: look at recv()",
        "",
    ]


def test_then_what_the_programs_printed_then_the_wire_then_the_packets() -> None:
    evidence = Evidence("a   b\n│─▶│", "server: ended\n  stdout: hi", "/kept/a.pcapng")
    failed = a_check(FAILED, actual="nothing", evidence=evidence)

    assert check_lines(failed)[2:] == [
        "    server: ended",
        "      stdout: hi",
        "    a   b",
        "    │─▶│",
        "    packets: /kept/a.pcapng",
        "",
    ]


def test_lines_that_go_on_stand_below_each_other() -> None:
    failed = a_check(FAILED, actual="it says:\nline 1\nline 2")

    assert check_lines(failed)[1:4] == [
        "        actual: it says:",
        "                line 1",
        "                line 2",
    ]


def test_a_blocked_check_names_the_one_that_has_to_pass_first() -> None:
    blocked = a_check(BLOCKED, "it answers twice", blocked_by="it answers")

    assert check_lines(blocked) == [
        '– it answers twice   (not checked: "it answers" has to pass first)'
    ]


def test_a_broken_check_is_not_the_programs_fault_and_shows_where_it_broke() -> None:
    broken = a_check(BROKEN, actual="no namespace", evidence=Evidence(traceback="File x\n  y()"))

    assert check_lines(broken) == [
        "! it answers",
        "      not judged: this is not your program's fault: no namespace",
        "    File x",
        "      y()",
        "",
    ]


def test_a_broken_check_that_gives_no_reason_shows_the_last_line_of_its_traceback() -> None:
    broken = a_check(BROKEN, evidence=Evidence(traceback="File x\nKeyError: 'a'\n"))

    assert check_lines(broken)[1].endswith("fault: KeyError: 'a'")


def test_the_paint_is_asked_for_every_colour() -> None:
    asked = []

    def paint(text: str, colour: str) -> str:
        asked.append(colour)
        return text

    report_lines(HALF_BROKEN, paint)

    assert asked[:2] == ["green", "yellow"]
    assert "red" in asked


@pytest.mark.parametrize(
    ("checks", "summary"),
    [
        ([a_check(PASSED), a_check(FAILED)], "1 of 2 checks passed, 2 of 4 points"),
        ([a_check(PASSED, points=0)], "1 of 1 check passed"),
        (
            HALF_BROKEN.checks,
            "1 of 5 checks passed, 1 of 15 points; 1 not judged, so 9 points are open",
        ),
    ],
)
def test_the_summary_counts_checks_and_points(checks: list[object], summary: str) -> None:
    assert summary_lines(a_report(*checks)) == [summary]  # type: ignore[arg-type]


def test_a_run_that_could_not_judge_says_why_and_shows_what_was_printed() -> None:
    assert summary_lines(a_report(problem="the checks ended early\nTraceback")) == [
        "! not judged: this is not your program's fault: the checks ended early",
        "    Traceback",
    ]


def test_points_are_open_for_a_broken_check_and_for_all_that_hang_on_it() -> None:
    titles = [check.title for check in open_checks(HALF_BROKEN)]

    assert titles == ["it answers", "it answers twice", "it answers for ever"]
    assert open_points(HALF_BROKEN) == 9


def test_a_check_that_waits_for_a_failed_one_is_lost_not_open() -> None:
    report = a_report(a_check(FAILED), a_check(BLOCKED, "twice", blocked_by="it answers"))

    assert open_checks(report) == []


def test_why_a_whole_report_is_broken() -> None:
    assert why_not_judged(a_report(problem="no lab\nmore")) == "no lab"
    assert why_not_judged(HALF_BROKEN) == '"it answers": no namespace'
    assert why_not_judged(a_report()) == "no check was run"
    assert why_not_judged(a_report(a_check(PASSED))) == ""


def test_nothing_that_a_program_prints_reaches_the_terminal_as_an_order() -> None:
    evidence = Evidence(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    for outcome in (FAILED, BROKEN, BLOCKED, PASSED):
        check = a_check(
            outcome,
            HOSTILE,
            expected=HOSTILE,
            actual=HOSTILE,
            hint=HOSTILE,
            blocked_by=HOSTILE,
            evidence=evidence,
        )
        for line in report_lines(a_report(check, problem=HOSTILE)):
            assert line.isprintable()


def test_escapes_are_shown_as_python_writes_them() -> None:
    assert printable("\x1b[31mred\r\n\u202eevil") == "\\x1b[31mred\\r\n\\u202eevil"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text())
def test_whatever_the_text_one_line_is_one_line_of_what_can_be_shown(text: str) -> None:
    shown = one_line(text)

    assert shown.isprintable()
    assert len(shown) <= 400


def test_of_endless_output_the_beginning_and_the_end_are_shown() -> None:
    flood = "\n".join(f"line {number}" for number in range(100_000))
    lines = check_lines(a_check(FAILED, actual="x", evidence=Evidence(programs=flood)))

    assert len(lines) < 60
    assert "    line 0" in lines
    assert "    … 99960 lines left out …" in lines
    assert "    line 99999" in lines


def test_an_endless_line_is_cut() -> None:
    assert max(map(len, check_lines(a_check(FAILED, actual="x" * 1_000_000)))) < 500


@pytest.mark.parametrize(
    ("value", "shown"), [(3.0, "3"), (2.5, "2.5"), (0.0, "0"), (1 / 3, "0.33"), (100, "100")]
)
def test_points_are_written_as_people_do(value: float, shown: str) -> None:
    assert points(value) == shown
