"""``labctl verify`` as an author types it."""

import signal

import pytest

from tests.cli.commands import Labctl
from tests.grading.whole_exercise import make_it_wait, write_exercise

pytestmark = [pytest.mark.kernel, pytest.mark.slow]


def test_an_exercise_that_is_as_it_should_be(labctl: Labctl) -> None:
    write_exercise(labctl.folder)

    done = labctl("verify", "shout", "--seeds", "2", "--rootless")

    # A machine that takes long over it is told how far it is.
    assert (done.code, "error" in done.err) == (0, False)
    assert done.out.startswith("1 exercise, 5 runs, ")
    assert done.out.endswith(": all as it should be\n")


def test_what_is_wrong_is_said_with_where_and_what_next(labctl: Labctl) -> None:
    folder = write_exercise(labctl.folder)
    (folder / "starter" / "shout.py").write_text("import sys\nprint(sys.argv[1].upper())\n")

    done = labctl("verify", "shout", "--seeds", "1", "--rootless")

    assert done.code == 1
    assert "starter: nothing in it says TODO" in done.err
    assert "error: 01-shout/starter (seed 1): no check fails" in done.err
    assert "hint: a starter runs, and fails" in done.err
    assert done.out.endswith(": 2 problems\n")


def test_a_problem_is_said_when_it_is_found(labctl: Labctl) -> None:
    folder = write_exercise(labctl.folder)
    (folder / "starter" / "shout.py").write_text("import sys\nprint(sys.argv[1].upper())  # TODO\n")
    make_it_wait(folder)

    with labctl.running("verify", "shout", "--seeds", "1", "--rootless") as running:
        assert running.process.stderr is not None
        told = running.process.stderr.readline()
        hint = running.process.stderr.readline()
        running.process.send_signal(signal.SIGINT)
        code, said = running.end()

    assert code == 130
    assert told == b"error: 01-shout/starter (seed 1): no check fails\n"
    assert hint.startswith(b"  hint: a starter runs, and fails")
    assert said == ""


def test_json_has_every_run(labctl: Labctl) -> None:
    write_exercise(labctl.folder)

    said = labctl.json("verify", "shout", "--seeds", "1", "--rootless")

    assert said["problems"] == []
    assert {run["program"]: run["score"] for run in said["runs"]} == {
        "reference": 3,
        "starter": 1,
        "faulty/whispers": 1,
        "faulty/quiet": 0,
    }


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["nothing"], 'there is no exercise "nothing"'),
        (["shout", "--seeds", "0"], "--seeds has to be 1 or more"),
        (["shout", "--repeat", "-1"], "--repeat has to be 1 or more"),
    ],
)
def test_bad_input_is_one_error(labctl: Labctl, words: list[str], problem: str) -> None:
    write_exercise(labctl.folder)

    done = labctl("verify", *words)

    assert done.code == 2
    assert problem in done.err
