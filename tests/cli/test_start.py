from pathlib import Path

import pytest

from tests.cli.commands import Labctl
from tests.grading.shout import make_shout


@pytest.fixture(autouse=True)
def _shout(labctl: Labctl) -> None:
    make_shout(labctl.folder)


def test_the_copy_goes_to_work_and_the_next_step_is_named(labctl: Labctl) -> None:
    done = labctl("start", "shout")

    assert done == (
        0,
        "Small: yours to edit in work/01-shout/\n"
        "  README.md\n"
        "  hints.md\n"
        "  shout.py\n"
        "read README.md, then labctl check shout\n",
        "",
    )
    assert Path(labctl.folder, "work", "01-shout", "shout.py").exists()


def test_another_folder_is_part_of_the_next_step(labctl: Labctl) -> None:
    done = labctl("start", "01-shout", "mine")

    assert done.out.endswith("labctl check 01-shout mine\n")
    assert (labctl.folder / "mine" / "README.md").exists()


def test_the_second_time_nothing_is_overwritten(labctl: Labctl) -> None:
    labctl("start", "shout")
    program = labctl.folder / "work" / "01-shout" / "shout.py"
    program.write_text("mine")
    done = labctl("start", "shout")

    assert done.code == 2
    assert '"README.md", "hints.md" and "shout.py" are there already' in done.err
    assert "hint: labctl start shout OTHER-FOLDER" in done.err
    assert program.read_text() == "mine"


@pytest.mark.parametrize("verb", ["start", "check"])
def test_an_exercise_that_there_is_not(labctl: Labctl, verb: str) -> None:
    done = labctl(verb, "shuot")

    assert done.code == 2
    assert done.err.startswith('error: there is no exercise "shuot"\n  hint: did you mean "shout"?')


@pytest.mark.parametrize("verb", ["start", "check", "grade"])
def test_without_a_name_the_exercises_are_listed(labctl: Labctl, verb: str) -> None:
    done = labctl(verb)

    assert done.code == 2
    assert "error: missing: EXERCISE" in done.err
    listed = done.err.partition("  hint: the exercises here are: ")[2].split()
    assert {"shout", "udp-time"} <= set(listed)


def test_the_folder_of_others_is_the_machines_fault_without_a_traceback(labctl: Labctl) -> None:
    done = labctl("start", "shout", "/proc/mine")

    assert done.code == 3
    assert done.err.startswith("error: /proc/mine")
