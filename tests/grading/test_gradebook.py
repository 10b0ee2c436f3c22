import csv
import io

import pytest

from labctl.grading.gradebook import reports_as_csv, reports_as_json, summary_rows
from labctl.grading.outcome import Report, report_from_json
from tests.grading.reports import FAILED, HALF_BROKEN, HOSTILE, PASSED, a_check, a_report


def _table(*reports: Report) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(reports_as_csv(reports))))


ANNA = a_report(a_check(PASSED, "a", points=2.5), a_check(FAILED, "b", points=1))
BEN = a_report(a_check(FAILED, "a", points=2.5), a_check(PASSED, "b", points=1), submission="ben")


def test_a_row_a_submission_and_a_column_a_check() -> None:
    assert reports_as_csv([ANNA, BEN]) == (
        "name,score,max,outcome,test_a,test_b\nanna,2.5,3.5,failed,2.5,0\nben,1,3.5,failed,0,1\n"
    )


def test_where_a_check_is_broken_there_is_no_score_to_be_taken_for_one() -> None:
    [row] = _table(HALF_BROKEN)

    assert row["score"] == ""
    assert row["outcome"] == "broken"
    assert row["test_it_starts"] == "1"
    assert row["test_it_answers"] == "broken"


def test_a_submission_that_was_not_judged_is_worth_what_the_others_are() -> None:
    [_, row] = _table(ANNA, a_report(submission="carla", problem="no lab"))

    assert row == {
        "name": "carla",
        "score": "",
        "max": "3.5",
        "outcome": "broken",
        "test_a": "",
        "test_b": "",
    }


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_name_is_a_formula(name: str) -> None:
    [row] = _table(a_report(a_check(PASSED), submission=name))

    assert not row["name"].startswith(("=", "+", "-", "@", "\t", "\r"))
    assert row["score"] == "2"


def test_a_hostile_name_stays_in_its_cell() -> None:
    [row] = _table(a_report(a_check(PASSED), submission=f'{HOSTILE}",99,99\nmallory,100'))

    assert row["score"] == "2"
    assert row["name"].isprintable()


def test_all_results_can_be_read_back() -> None:
    written = reports_as_json("echo", 1, [ANNA, HALF_BROKEN])

    assert written["format"] == 1
    assert [report_from_json(value) for value in written["submissions"]] == [ANNA, HALF_BROKEN]


def test_the_summary_lists_those_that_were_judged() -> None:
    assert summary_rows([ANNA, HALF_BROKEN, BEN]) == [
        ("anna", "2.5 of 3.5", "test_b"),
        ("ben", "1 of 3.5", "test_a"),
    ]
