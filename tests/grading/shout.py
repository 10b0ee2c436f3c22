"""A whole exercise that is checked in no time: one program, three checks."""

import shutil
from pathlib import Path

from labctl.grading.exercise import Exercise
from tests.grading.workshop import make_exercise

RIGHT = "import sys\nif len(sys.argv) != 2:\n    sys.exit(2)\nprint(sys.argv[1].upper())\n"
STARTER = "# TODO: in capitals.\nimport sys\nprint(*sys.argv[1:])\n"

CAPITALS = "a word comes back in capitals"
UMLAUTS = "a word in another alphabet does, too"
NO_WORD = "without a word the exit status is 2"

CHECKS = f'''
@pytest.mark.points(3)
def test_capitals(lab, submission):
    """{CAPITALS}"""
    ended = submission.run("host", "shout", "hello")
    expect_equal(ended.stdout, b"HELLO\\n", "stdout", "str.upper() knows the capitals")

@pytest.mark.needs("test_capitals")
@pytest.mark.points(1)
def test_umlauts(lab, submission):
    """{UMLAUTS}"""
    ended = submission.run("host", "shout", "grün")
    expect_equal(ended.stdout, "GRÜN\\n".encode(), "stdout", "not every letter is ASCII")

@pytest.mark.visibility("hidden")
@pytest.mark.points(2)
def test_no_word(lab, submission):
    """{NO_WORD}"""
    ended = submission.run("host", "shout")
    expect_equal(ended.exit_status, 2, "exit status", "sys.exit(2)")
'''


def make_shout(folder: Path, checks: str = CHECKS) -> Exercise:
    """Write the exercise where a labctl that runs in ``folder`` finds it as ``shout``."""
    exercise = make_exercise(folder, checks, lab="alone", programs="{shout: WORD}", name="01-shout")
    inside = Path(exercise.folder)
    (inside / "README.md").write_text("# Shout\n\n`shout WORD` prints the word in capitals.\n")
    (inside / "hints.md").write_text("# Hints\n")
    (inside / "starter").mkdir()
    (inside / "starter" / "shout.py").write_text(STARTER)
    return exercise


def hand_in(folder: Path, name: str, program: str = RIGHT) -> Path:
    """Write a submission of that name; return its folder."""
    made = folder / name
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    (made / "shout.py").write_text(program)
    return made
