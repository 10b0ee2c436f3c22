"""Grading a class for real: in labs, in sandboxes, in processes of their own."""

import csv
import fcntl
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from labctl.errors import LabError
from labctl.grading.exercise import load_exercise
from labctl.grading.grade import Grading, Progress, grade
from labctl.grading.handed_in import find_handed_in
from labctl.grading.outcome import Outcome, Report, report_from_json
from labctl.programs.sandbox import why_no_sandbox
from labctl.programs.search import search_path
from tests.grading.folders import names_in
from tests.grading.shout import CHECKS, RIGHT, STARTER, hand_in, make_shout
from tests.grading.workshop import MODES

pytestmark = [pytest.mark.kernel, pytest.mark.slow]


class Class:
    """A class that is graded, as often as a test likes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "grades"
        self.exercise = make_shout(folder)
        self.so_far: list[tuple[int, int]] = []
        self.judged: list[str] = []
        """Submissions that checks have run on; not those whose results were kept."""

    def hand_in(self, name: str, program: str = RIGHT) -> Path:
        return hand_in(self.folder / "in", name, program)

    def grade(self, **changed: object) -> dict[str, Report]:
        """Grade all that was handed in."""
        self.judged.clear()
        self.so_far.clear()
        paths = [str(path) for path in sorted((self.folder / "in").iterdir())]
        grading = Grading(self.exercise, str(self.out), search_path(), "1.0", at_once=2)
        reports = grade(
            find_handed_in(paths),
            grading._replace(**changed),  # type: ignore[arg-type]
            Progress(so_far=self._note),
        )
        return {report.submission: report for report in reports}

    def _note(self, report: Report, still_to_come: int) -> None:
        self.so_far.append((len(report.checks), still_to_come))
        if report.submission not in self.judged:
            self.judged.append(report.submission)

    def results(self, name: str) -> Path:
        return self.out / "submissions" / name


@pytest.fixture
def course(tmp_path: Path) -> Class:
    if why_no_sandbox():
        pytest.skip("no sandbox here")
    return Class(tmp_path)


@pytest.mark.parametrize("is_rootless", MODES)
def test_every_submission_is_judged_by_itself(course: Class, is_rootless: bool) -> None:
    for name, program in (("anna", RIGHT), ("ben", STARTER), ("carla", "raise SystemExit(9)")):
        course.hand_in(name, program)
    reports = course.grade(is_rootless=is_rootless)

    assert {name: (report.score, report.max_score) for name, report in reports.items()} == {
        "anna": (6, 6),
        "ben": (0, 6),
        "carla": (0, 6),
    }
    assert [report.outcome for report in reports.values()] == [
        Outcome.PASSED,
        Outcome.FAILED,
        Outcome.FAILED,
    ]


def test_each_has_a_folder_with_its_results_in_every_form(course: Class) -> None:
    course.hand_in("anna")
    report = course.grade()["anna"]
    folder = course.results("anna")

    assert report_from_json(json.loads((folder / "results.json").read_text())) == report
    assert ElementTree.parse(folder / "junit.xml").getroot().attrib["tests"] == "3"
    scores = [
        test["score"] for test in json.loads((folder / "gradescope.json").read_text())["tests"]
    ]
    assert scores == [3, 1, 2]
    assert "3 of 3 checks passed, 6 of 6 points" in (folder / "report.txt").read_text()


def test_the_class_has_a_table_and_all_results_together(course: Class) -> None:
    course.hand_in("anna")
    course.hand_in("ben", STARTER)
    course.grade()

    with (course.out / "grades.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["score"], row["test_capitals"]) for row in rows] == [
        ("anna", "6", "3"),
        ("ben", "0", "0"),
    ]
    written = json.loads((course.out / "results.json").read_text())
    assert [value["submission"] for value in written["submissions"]] == ["anna", "ben"]


def test_what_came_out_is_told_after_each_check(course: Class) -> None:
    course.hand_in("anna")
    course.grade()

    assert course.so_far == [(1, 2), (2, 1), (3, 0)]


def test_what_is_judged_and_has_not_changed_is_kept(course: Class) -> None:
    course.hand_in("anna")
    course.hand_in("ben", STARTER)
    first = course.grade()

    assert course.grade() == first
    assert course.judged == []

    course.hand_in("ben", RIGHT)
    assert course.grade()["ben"].score == 6
    assert course.judged == ["ben"]

    course.grade(again=True)
    assert sorted(course.judged) == ["anna", "ben"]


def test_another_seed_another_labctl_or_other_checks_judge_again(course: Class) -> None:
    course.hand_in("anna")
    course.grade()
    for changed in ({"seed": 2}, {"seed": 2, "version": "1.1"}):
        course.grade(**changed)
        assert course.judged == ["anna"]
    Path(course.exercise.checks_folder, "test_small.py").write_text("# changed\n" + _checks(course))
    course.grade(seed=2, version="1.1")

    assert course.judged == ["anna"]


def _checks(course: Class) -> str:
    return Path(course.exercise.checks_folder, "test_small.py").read_text()


def test_a_run_that_was_killed_is_finished_by_the_next(course: Class) -> None:
    for name in ("anna", "ben", "carla"):
        course.hand_in(name)
    whole = course.grade()
    # As kill -9 leaves it: between two files, within one, and with what was unpacked.
    (course.results("ben") / "results.json").unlink()
    results = course.results("carla") / "results.json"
    results.write_bytes(results.read_bytes()[:100])
    (course.out / ".scratch" / "123").mkdir(parents=True)
    (course.out / "grades.csv").unlink()
    reports = course.grade()

    assert sorted(course.judged) == ["ben", "carla"]
    assert {name: report.score for name, report in reports.items()} == {
        name: report.score for name, report in whole.items()
    }
    assert names_in(course.out) == [".lock", "grades.csv", "results.json", "submissions"]


def test_what_could_not_be_judged_is_told_and_tried_again(course: Class) -> None:
    course.hand_in("anna")
    (course.folder / "in" / "ben.zip").write_bytes(b"no archive")
    reports = course.grade()

    assert reports["anna"].outcome is Outcome.PASSED
    assert reports["ben"].outcome is Outcome.BROKEN
    assert "ben.zip: the archive cannot be unpacked" in reports["ben"].problem
    assert "ben,,6,broken,,,\n" in (course.out / "grades.csv").read_text()

    (course.folder / "in" / "ben.zip").unlink()
    shutil.make_archive(
        str(course.folder / "in" / "ben"), "zip", hand_in(course.folder, "bens work")
    )
    assert course.grade()["ben"].score == 6
    assert course.judged == ["ben"]


def test_a_check_that_breaks_leaves_no_score(course: Class) -> None:
    breaks = CHECKS.replace('"shout")\n', '"no such program")\n')
    shutil.rmtree(course.exercise.folder)
    course.exercise = make_shout(course.folder, breaks)
    course.hand_in("anna")
    report = course.grade()["anna"]

    assert report.outcome is Outcome.BROKEN
    assert report.score == 4
    assert "anna,,6,broken,3,1,broken\n" in (course.out / "grades.csv").read_text()


def test_an_exercise_that_cannot_be_loaded_breaks_no_class(course: Class) -> None:
    Path(course.exercise.checks_folder, "test_small.py").write_text("import nothing_of_that_name\n")
    course.exercise = load_exercise(course.exercise.folder)
    course.hand_in("anna")
    report = course.grade()["anna"]

    assert report.outcome is Outcome.BROKEN
    assert "nothing_of_that_name" in (course.results("anna") / "report.txt").read_text()


def test_two_runs_into_one_folder_are_refused(course: Class) -> None:
    course.hand_in("anna")
    course.out.mkdir()
    with (course.out / ".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(LabError, match="another labctl grade") as error:
            course.grade()

    assert "--out" in error.value.hint
    assert course.grade()["anna"].score == 6


def test_results_do_not_go_into_a_submission(course: Class) -> None:
    made = course.hand_in("anna")
    with pytest.raises(LabError, match='inside the submission "anna"'):
        course.grade(out=str(made / "grades"))

    assert names_in(made) == ["shout.py"]


WRITES_RESULTS = """
import glob, os, sys
for path in ("results.json", "../results.json", {out!r} + "/submissions/anna/results.json"):
    try:
        open(path, "w").write("forged")
    except OSError:
        pass
print(os.path.exists({out!r}), glob.glob({folder!r} + "/*"))
"""


def test_a_program_reaches_neither_the_checks_nor_the_results(course: Class) -> None:
    program = WRITES_RESULTS.format(out=str(course.out), folder=str(course.folder))
    course.hand_in("anna", program)
    report = course.grade()["anna"]

    assert report.score == 0
    assert "stdout: False []" in report.checks[0].evidence.programs
    written = json.loads((course.results("anna") / "results.json").read_text())
    assert report_from_json(written) == report
