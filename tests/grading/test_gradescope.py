import json
from typing import Any

import pytest

from labctl.grading.gradescope import report_as_gradescope
from labctl.grading.outcome import Evidence, Report
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

VISIBILITIES = {"hidden", "after_due_date", "after_published", "visible"}
FORMATS = {"text", "html", "simple_format", "md", "ansi"}


def _check_schema(written: dict[str, Any]) -> None:
    """Compare with Gradescope's own description of results.json."""
    assert set(written) <= {
        *("score", "execution_time", "output", "output_format", "test_output_format"),
        *("test_name_format", "visibility", "stdout_visibility", "extra_data", "tests"),
        "leaderboard",
    }
    assert isinstance(written["execution_time"], int)
    assert isinstance(written["output"], str)
    assert written["output_format"] in FORMATS
    assert {written["visibility"], written["stdout_visibility"]} <= VISIBILITIES
    for test in written["tests"]:
        assert set(test) <= {
            *("score", "max_score", "status", "name", "name_format", "number", "output"),
            *("output_format", "tags", "visibility", "extra_data"),
        }
        assert isinstance(test["score"], int | float)
        assert 0 <= test["score"] <= test["max_score"]
        assert test["status"] in {"passed", "failed"}
        assert {test["name_format"], test["output_format"]} <= FORMATS
        assert test["visibility"] in VISIBILITIES
        assert isinstance(test["name"], str)
        assert isinstance(test["output"], str)


def _written(report: Report, still_to_come: int = 0) -> dict[str, Any]:
    said = json.dumps(report_as_gradescope(report, still_to_come=still_to_come))
    written: dict[str, Any] = json.loads(said)
    _check_schema(written)
    return written


def test_the_scores_are_those_of_the_checks() -> None:
    written = _written(a_report(a_check(PASSED, points=3), a_check(FAILED, points=2)))

    assert [(test["score"], test["max_score"]) for test in written["tests"]] == [(3, 3), (0, 2)]
    assert [test["status"] for test in written["tests"]] == ["passed", "failed"]


def test_the_output_is_what_a_learner_reads() -> None:
    failed = a_check(FAILED, expected="hi", actual="nothing", hint="recv()")
    [test] = _written(a_report(failed))["tests"]

    assert test["name"] == "it answers"
    assert "        actual: nothing\n          hint: recv()" in test["output"]


def test_a_broken_check_and_what_hangs_on_it_cost_nothing_and_say_so() -> None:
    written = _written(HALF_BROKEN)
    worth = {test["name"]: test["max_score"] for test in written["tests"]}

    assert worth == {
        "it starts": 1,
        "not judged: it answers": 0,
        "not judged: it answers twice": 0,
        "not judged: it answers for ever": 0,
        "it ends": 5,
    }
    assert "9 points are open, not lost" in written["output"]
    assert written["extra_data"]["labctl"] == {"outcome": "broken", "open_points": 9, "seed": 1}


def test_a_submission_that_was_not_judged_has_no_score_at_all() -> None:
    written = _written(a_report(problem="no lab\nTraceback of ours"))

    assert "score" not in written
    assert written["tests"] == []
    assert "no lab" in written["output"]


def test_while_checks_are_to_come_their_points_are_open() -> None:
    written = _written(a_report(a_check(PASSED)), still_to_come=2)

    assert "2 are not judged. Their points are open, not lost" in written["output"]
    assert written["extra_data"]["labctl"]["outcome"] == "unfinished"


@pytest.mark.parametrize("visibility", sorted(VISIBILITIES))
def test_a_check_is_shown_to_whom_it_says(visibility: str) -> None:
    [test] = _written(a_report(a_check(PASSED, visibility=visibility)))["tests"]

    assert test["visibility"] == visibility


def test_a_misspelt_visibility_hides_the_check() -> None:
    [test] = _written(a_report(a_check(PASSED, visibility="hiden")))["tests"]

    assert test["visibility"] == "hidden"


def test_what_is_printed_is_kept_from_students() -> None:
    assert _written(a_report(a_check(PASSED)))["stdout_visibility"] == "hidden"


def test_a_hidden_check_is_not_named_by_one_that_waits_for_it() -> None:
    hidden = a_check(FAILED, "the trap", visibility="hidden")
    shown = a_check(BLOCKED, "it answers", blocked_by="the trap")

    written = _written(a_report(hidden, shown))

    assert "the trap" not in json.dumps([written["output"], written["tests"][1]])


def test_students_see_no_path_and_no_traceback_of_ours() -> None:
    evidence = Evidence("ladder", "printed", "/secret/a.pcapng", "File /secret/x.py")
    broken = a_check(BROKEN, actual="/secret/x.yaml: no such file", evidence=evidence)
    for check in (a_check(FAILED, evidence=evidence), broken):
        assert "/secret" not in json.dumps(_written(a_report(check)))


def test_what_a_program_prints_stays_in_its_text() -> None:
    evil = '"}], "score": 100, "tests": [{"score": 100'
    evidence = Evidence(programs=evil + HOSTILE)
    written = _written(a_report(a_check(FAILED, evil, actual=evil, evidence=evidence)))

    assert len(written["tests"]) == 1
    assert written["tests"][0]["score"] == 0
    assert "score" not in written
