"""Writes an exercise that has everything it should, for tests that then harm it."""

import textwrap
from pathlib import Path

YAML = """
title: Shout
teaches: [capitals]
programs: {shout: WORD}
faulty: {whispers: test_shouts, quiet: [test_shouts, test_ends_well]}
"""

CHECKS = '''
import pytest
from labctl.testing import expect_equal

@pytest.mark.points(2)
def test_shouts(lab, submission):
    """it shouts the word"""
    said = submission.run("host", "shout", "hi").stdout
    expect_equal(said, b"HI\\n", "stdout", "str.upper() makes capitals")

@pytest.mark.points(1)
def test_ends_well(lab, submission):
    """it ends with exit status 0"""
    expect_equal(submission.run("host", "shout", "hi").exit_status, 0, "exit status", "do not crash")
'''

WHISPERS = """
--- reference/shout.py
+++ whispers/shout.py
@@ -1,2 +1,2 @@
 import sys
-print(sys.argv[1].upper())
+print(sys.argv[1].lower())
"""

HINTS = "# Hints\n\n## it shouts the word\n\nCapitals.\n\n## it ends with exit status 0\n\nEnd.\n"


def write_exercise(place: Path) -> Path:
    """Write ``exercises/01-shout`` with its table below ``place``; return the exercise's folder."""
    folder = place / "exercises" / "01-shout"
    files = {
        "exercise.yaml": YAML,
        "README.md": "# Shout\n\nWrite `shout WORD`.\n",
        "hints.md": HINTS,
        "design.md": "# shout: for maintainers\n",
        "checks/test_shout.py": CHECKS,
        "reference/shout.py": "import sys\nprint(sys.argv[1].upper())\n",
        "starter/shout.py": "import sys\n# TODO: louder\nprint(sys.argv[1])\n",
        "faulty/whispers.patch": WHISPERS,
        "faulty/quiet/shout.py": "raise SystemExit(1)\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip())
    (folder.parent / "README.md").write_text("| [shout](01-shout/README.md) | Shout | alone |\n")
    return folder


def make_it_wait(folder: Path) -> None:
    """Have the reference wait for ever when it has shouted, and so the mistake that is a patch."""
    reference, patch = folder / "reference" / "shout.py", folder / "faulty" / "whispers.patch"
    reference.write_text(f"{reference.read_text()}import signal\nsignal.pause()\n")
    hunk = patch.read_text().replace("@@ -1,2 +1,2 @@", "@@ -1,4 +1,4 @@")
    patch.write_text(f"{hunk} import signal\n signal.pause()\n")
