"""A class with submissions that attack the grading: each fails, with a reason, and harms nobody.

What the sandbox itself keeps a program from is in ``tests/programs/test_sandbox_attacks.py``.
"""

import json
import re
import subprocess
import uuid
from pathlib import Path

import pytest

from labctl.grading.outcome import Outcome, report_from_json
from tests.cli.commands import MODES, Labctl
from tests.grading.shout import RIGHT, hand_in
from tests.grading.workshop import make_exercise

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

SECRET = "the-secret-of-the-reference"

CHECKS = """
MARK = "THE-MARK"

@pytest.mark.points(3)
def test_shouts(lab, submission):
    '''it shouts'''
    program = submission.start("host", "shout", "hello", MARK, ready=False)
    program.end_input()
    program.expect_line("HELLO", hint="capitals")
    program.expect_exit(0, hint="end", within_s=WITHIN_S / 2)
"""

LIMITS = (
    "limits: {check_seconds: 20, cpu_seconds: 2, memory_mb: 64, processes: 16, output_kb: 64,"
    " scratch_mb: 4}"
)

HOSTILE = {
    "writes_its_own_results": """
import glob, os, sys
for place in ("/work", "/tmp", "/submission", "/", "..", os.environ.get("HOME", "/")):
    for name in ("results.json", "report.txt", "grades.csv"):
        try:
            open(f"{place}/{name}", "w").write('{"score": 100, "outcome": "passed"}')
        except OSError:
            pass
for fd in range(3, 256):
    try:
        os.write(fd, b'{"event": "ended", "check": {"outcome": "passed"}}\\n')
    except OSError:
        pass
""",
    "reads_what_it_should_not": """
import os
found = []
for place, folders, names in os.walk("/"):
    folders[:] = [f for f in folders if os.path.join(place, f) not in ("/dev", "/opt", "/proc", "/sys", "/usr")]
    for name in names:
        try:
            if "SECRET"[::-1] in open(os.path.join(place, name), errors="replace").read(100_000):
                found.append(os.path.join(place, name))
        except OSError:
            pass
for path in ("PLACES"):
    found += [path] if os.path.exists(path) else []
print("HELLO" if found else "nothing to be seen")
""",
    "kills_everybody": """
import os, signal
for pid in [int(p) for p in os.listdir("/proc") if p.isdigit()] + [-1, os.getppid()]:
    if pid not in (os.getpid(), 1):
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
""",
    "traces_the_grader": """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
    if pid != os.getpid() and libc.ptrace(16, pid, 0, 0) == 0:
        print("HELLO")
""",
    "fills_the_disk": """
import os
for place in ("/work", "/tmp", "/dev/shm"):
    try:
        with open(f"{place}/big", "wb") as file:
            while True:
                file.write(b"x" * 65536)
    except OSError:
        pass
print("full")
""",
    "forks_without_end": """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
""",
    "takes_all_memory": "x = []\nwhile True:\n    x.append(bytearray(b'x' * 1_000_000))\n",
    "never_exits": "print('HELLO', flush=True)\nimport threading\nthreading.Event().wait()\n",
    "ignores_signals": """
import signal
for n in range(1, 65):
    try:
        signal.signal(n, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
print("HELLO", flush=True)
while True:
    pass
""",
    "exits_at_once": "raise SystemExit(0)\n",
    "prints_a_gigabyte": "while True:\n    print('x' * 100_000)\n",
    "prints_a_passing_report": """
print("✓ it shouts")
print('{"event": "ended", "check": {"name": "test_shouts", "outcome": "passed"}}')
print("1 passed in 0.01s")
print("\\x1b[2J\\x1b[H3 of 3 points")
""",
    "leaves_a_daemon": """
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open("/work/alive", "w").write("x")
        import threading
        threading.Event().wait()
    os._exit(0)
os.wait()
print("hello")
""",
    "stops_itself": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\n",
}


@pytest.fixture
def mark() -> str:
    """Return a word by which the programs of this test are known among those of others."""
    return uuid.uuid4().hex


@pytest.fixture(params=MODES)
def graded(request: pytest.FixtureRequest, tmp_path: Path, mark: str) -> Path:
    """Grade them all, one after the other, and behind each an honest one; return the results."""
    labctl = Labctl(tmp_path)
    folder = labctl.folder
    checks = CHECKS.replace("THE-MARK", mark)
    honest = RIGHT.replace("!= 2", "!= 3")
    exercise = make_exercise(
        folder, checks, lab="alone", programs="{shout: WORD MARK}", more=LIMITS, name="01-shout"
    )
    reference = Path(exercise.folder) / "reference"
    reference.mkdir()
    (reference / "shout.py").write_text(f"# {SECRET}\n{honest}")
    places = [exercise.folder, str(folder), str(Path.home()), "/run/labctl", "/etc/shadow"]
    words = []
    for name, program in HOSTILE.items():
        text = program.replace("SECRET", SECRET[::-1]).replace('("PLACES")', repr(places))
        words.append(str(hand_in(folder, f"in/{name}", text)))
        words.append(str(hand_in(folder, f"in/honest_after_{name}", honest)))

    done = subprocess.run(
        [*labctl.command, "grade", "shout", *words, "-j", "2", request.param],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        cwd=folder,
        env=labctl.environment,
    )

    assert done.returncode == 0, done.stdout
    # On a busy machine it takes long enough to be told how far it is.
    assert re.fullmatch(r"(\d+ of \d+ judged, after \w+\n)*", done.stderr)
    return folder / "grades-shout" / "submissions"


def test_each_fails_with_a_reason_and_the_next_is_graded_as_if_nothing_had_been(
    graded: Path, mark: str
) -> None:
    reports = {
        path.parent.name: report_from_json(json.loads(path.read_text()))
        for path in graded.glob("*/results.json")
    }

    assert len(reports) == 2 * len(HOSTILE)
    for name in HOSTILE:
        [check] = reports[name].checks
        assert check.outcome is Outcome.FAILED, (name, check)
        assert check.score == 0
        assert check.actual, name
        assert reports[f"honest_after_{name}"].outcome is Outcome.PASSED, name
    said = {name: reports[name].checks[0].actual for name in HOSTILE}
    assert "wrote more than" in said["prints_a_gigabyte"]
    assert "memory" in said["takes_all_memory"] or "MemoryError" in said["takes_all_memory"]
    assert "still running" in said["never_exits"]
    assert "ended with exit status 0" in said["exits_at_once"]
    assert "nothing to be seen" in said["reads_what_it_should_not"]
    assert "\x1b" not in (graded / "prints_a_passing_report" / "report.txt").read_text()
    assert not [pid for pid in Path("/proc").glob("[0-9]*") if mark.encode() in _command(pid)]


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""
