"""``labctl grade`` as an instructor types it, and as Gradescope runs it."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from labctl.programs.sandbox import why_no_sandbox
from labctl.wait import until
from tests.cli.commands import MODES, Labctl
from tests.grading.folders import names_in
from tests.grading.shout import RIGHT, STARTER, hand_in, make_shout
from tests.limits import LIMIT_S

pytestmark = [pytest.mark.kernel, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _shout(labctl: Labctl) -> None:
    if why_no_sandbox():
        pytest.skip("no sandbox here")
    make_shout(labctl.folder)


@pytest.mark.parametrize("mode", MODES)
def test_a_class_gets_a_table(labctl: Labctl, mode: str) -> None:
    hand_in(labctl.folder, "in/anna")
    hand_in(labctl.folder, "in/ben", STARTER)
    done = labctl("grade", "shout", "in/anna", "in/ben", "-j", "2", mode)

    assert done == (
        0,
        "NAME  POINTS  FAILED CHECKS\n"
        "anna  6 of 6\n"
        "ben   0 of 6  test_capitals, test_no_word\n"
        "Small: 2 of 2 judged, in grades-shout/grades.csv\n",
        "",
    )
    assert (labctl.folder / "grades-shout" / "grades.csv").read_text() == (
        "name,score,max,outcome,test_capitals,test_umlauts,test_no_word\n"
        "anna,6,6,passed,3,1,2\n"
        "ben,0,6,failed,0,0,0\n"
    )


def test_what_could_not_be_judged_stands_apart_with_the_reason(labctl: Labctl) -> None:
    hand_in(labctl.folder, "in/anna")
    (labctl.folder / "in" / "ben.zip").write_bytes(b"no archive")
    done = labctl("grade", "shout", "in/anna", "in/ben.zip")

    assert (done.code, done.err) == (3, "")
    assert done.out.splitlines() == [
        "NAME  POINTS  FAILED CHECKS",
        "anna  6 of 6",
        "could not be judged:",
        "  ben: ben.zip: the archive cannot be unpacked: file is not a zip file",
        "Small: 1 of 2 judged, in grades-shout/grades.csv",
        "the same command judges the others again",
    ]


def test_archives_folders_and_files_side_by_side_and_typed_a_second_time(labctl: Labctl) -> None:
    anna = hand_in(labctl.folder, "in/anna")
    shutil.make_archive(str(labctl.folder / "in" / "ben"), "gztar", anna)
    (labctl.folder / "in" / "carla.py").write_text(RIGHT)
    words = [f"in/{name}" for name in ("anna", "ben.tar.gz", "carla.py")]
    first = labctl("grade", "shout", *words)
    # As the shell completes `*`.
    again = labctl("grade", "shout", *words, "grades-shout")

    assert first.code == 0
    assert first.out.count("6 of 6") == 3
    assert again == first


def test_as_gradescope_runs_it(labctl: Labctl) -> None:
    hand_in(labctl.folder, "autograder/submission", STARTER)
    (labctl.folder / "autograder" / "results").mkdir()
    where = "autograder/results/results.json"
    done = labctl("grade", "shout", "autograder/submission", "--gradescope", where)
    written = json.loads((labctl.folder / where).read_text())

    assert done.code == 0
    assert [test["max_score"] for test in written["tests"]] == [3, 1, 2]
    assert [test["visibility"] for test in written["tests"]] == ["visible", "visible", "hidden"]


def test_other_places_and_forms(labctl: Labctl) -> None:
    hand_in(labctl.folder, "anna")
    done = labctl(
        "grade", "shout", "anna", "--out", "x/y", "--csv", "c.csv", "--junit", "j.xml", "--json"
    )  # fmt: skip

    assert json.loads(done.out)["submissions"][0]["score"] == 6
    assert (labctl.folder / "c.csv").read_text().count("\n") == 2
    assert "<testsuite " in (labctl.folder / "j.xml").read_text()
    assert names_in(labctl.folder / "x" / "y" / "submissions" / "anna") == [
        "gradescope.json",
        "junit.xml",
        "report.txt",
        "results.json",
    ]


def test_a_hostile_name_gives_the_terminal_no_orders(labctl: Labctl) -> None:
    hand_in(labctl.folder, "=cmd\n\x1b[2J")
    done = labctl("grade", "shout", "=cmd\n\x1b[2J")

    assert done.code == 0
    assert "=cmd\\n\\x1b[2J  6 of 6\n" in done.out
    assert names_in(labctl.folder / "grades-shout" / "submissions") == ["=cmd\\n\\x1b[2J"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["none"], 'there is no submission "none"'),
        (["a/anna", "b/anna"], '"a/anna" and "b/anna" would both be called "anna"'),
        (["a/anna", "-j", "0"], '"-j 0" is too few'),
        (["a/anna", "a", "--gradescope", "x"], "--gradescope is for one submission"),
        (["a", "--out", "a/anna"], 'the results would lie inside the submission "a"'),
    ],
)
def test_a_mistake(labctl: Labctl, words: list[str], error: str) -> None:
    for name in "ab":
        hand_in(labctl.folder, f"{name}/anna")
    done = labctl("grade", "shout", *words)

    assert (done.code, done.out) == (2, "")
    assert error in done.err
    assert "  hint: " in done.err


def test_without_a_sandbox_nothing_is_begun(labctl: Labctl) -> None:
    hand_in(labctl.folder, "anna")
    done = labctl("grade", "shout", "anna", environment={"PATH": "/nowhere"})

    assert done.code == 3
    assert "there is no sandbox here" in done.err
    assert "hint: labctl doctor" in done.err
    assert not (labctl.folder / "grades-shout").exists()


def _seconds_of(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_ino


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_is_finished_by_the_same_command(
    labctl: Labctl, number: signal.Signals
) -> None:
    hand_in(labctl.folder, "in/anna")
    hand_in(labctl.folder, "in/ben", "import signal\nsignal.pause()\n")
    words = ("grade", "shout", "in/anna", "in/ben", "-j", "1")
    submissions = labctl.folder / "grades-shout" / "submissions"
    of_anna = submissions / "anna" / "results.json"
    with labctl.running(*words) as running:
        # The other is begun when one is judged and counted, and never ends by itself.
        assert until((submissions / "ben").exists, LIMIT_S)
        before = _seconds_of(of_anna)
        os.kill(running.process.pid, number)
        code, said = running.end()
    if number != signal.SIGKILL:
        expected = "stopped: 1 of 2 are judged; the same command goes on from there\n"
        assert (code, said) == (128 + number, expected)
    assert not (labctl.folder / "grades-shout" / "grades.csv").exists()

    hand_in(labctl.folder, "in/ben")
    done = labctl(*words)

    assert done.code == 0
    assert done.out.count("6 of 6") == 2
    assert _seconds_of(of_anna) == before
    labctl("gc")  # of what was killed the folder for temporary files is left
