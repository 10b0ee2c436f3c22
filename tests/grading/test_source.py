from pathlib import Path

import pytest

from labctl.errors import LabError
from labctl.grading.source import CheckSource, checks_of, chosen_checks
from tests.grading.workshop import make_exercise

CHECKS = """
    def helper(): pass

    @pytest.mark.points(1)
    def test_a(lab):
        '''it
        works

        more'''

    @pytest.mark.lab("star", clients=3)
    def test_b(lab): pass
"""


def test_the_checks_are_listed_without_being_run(tmp_path: Path) -> None:
    exercise = make_exercise(tmp_path, f"raise SystemExit\n{CHECKS}")

    assert checks_of(exercise) == []
    exercise = make_exercise(tmp_path / "good", CHECKS)
    assert checks_of(exercise) == [
        CheckSource("test_a", "it works", ""),
        CheckSource("test_b", "", "star"),
    ]


def test_a_file_that_is_not_python_leaves_the_others(tmp_path: Path) -> None:
    exercise = make_exercise(tmp_path, CHECKS)
    Path(exercise.checks_folder, "test_a_typo.py").write_text("def test_(:\n")
    Path(exercise.checks_folder, "test_bytes.py").write_bytes(b"\xff\x00")

    assert [check.name for check in checks_of(exercise)] == ["test_a", "test_b"]


def test_an_exercise_without_checks_has_none(tmp_path: Path) -> None:
    exercise = make_exercise(tmp_path, CHECKS)._replace(folder=str(tmp_path))

    assert checks_of(exercise) == []


def test_checks_are_chosen_with_or_without_their_first_word(tmp_path: Path) -> None:
    exercise = make_exercise(tmp_path, CHECKS)

    assert chosen_checks(exercise, ["b", "test_a"]) == ("test_b", "test_a")
    assert chosen_checks(exercise, []) == ()


def test_checks_are_chosen_by_words_of_the_title_that_their_report_shows(tmp_path: Path) -> None:
    exercise = make_exercise(
        tmp_path,
        """
        def test_a(lab):
            '''it says b'''

        def test_b(lab):
            '''it works at once'''

        def test_c(lab):
            '''it works in the end'''
        """,
    )

    assert chosen_checks(exercise, ["it works at once"]) == ("test_b",)
    assert chosen_checks(exercise, ["It works"]) == ("test_b", "test_c")
    assert chosen_checks(exercise, ["works", "c", "a"]) == ("test_b", "test_c", "test_a")
    assert chosen_checks(exercise, ["b"]) == ("test_b",)  # a name comes first


def test_a_check_that_there_is_not_is_refused_with_those_there_are(tmp_path: Path) -> None:
    exercise = make_exercise(tmp_path, CHECKS)
    with pytest.raises(LabError, match='there is no check "z" in 01-small') as error:
        chosen_checks(exercise, ["z"])

    assert error.value.hint == "its checks are: test_a, test_b"


def test_the_nearest_check_is_suggested(tmp_path: Path) -> None:
    exercise = make_exercise(tmp_path, "def test_answers_twice(lab): pass")
    with pytest.raises(LabError) as error:
        chosen_checks(exercise, ["test_answer_twice"])

    assert error.value.hint == 'did you mean "test_answers_twice"?'
