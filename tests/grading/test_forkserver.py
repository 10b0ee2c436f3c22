import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from labctl.errors import LabError
from labctl.grading.forkserver import ForkServer, PytestRun
from labctl.wait import until
from tests.limits import LIMIT_S

pytestmark = pytest.mark.slow


class Asked(NamedTuple):
    """A run that was asked for, and the file that it writes to."""

    run: PytestRun
    output: Path


@pytest.fixture
def server() -> Iterator[ForkServer]:
    with ForkServer() as server:
        yield server


def ask(server: ForkServer, folder: Path, text: str) -> Asked:
    """Have a file of tests run, in a folder of its own."""
    folder.mkdir()
    (folder / "test_it.py").write_text(textwrap.dedent(text))
    output = folder / "output"
    with output.open("wb") as out, Path(os.devnull).open("wb") as events:
        run = server.start(
            ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(folder), "."],
            cwd=str(folder),
            scratch=str(folder),
            output_fd=out.fileno(),
            events_fd=events.fileno(),
        )
    return Asked(run, output)


def is_there(file: Path) -> bool:
    return bool(until(file.exists, LIMIT_S))


def pid_in(file: Path) -> int:
    assert is_there(file)
    return int(file.read_text())


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


WAITS = """
import os, time, pathlib

def test_it():
    try:
        pathlib.Path("new").write_text(str(os.getpid()))
        os.rename("new", "pid")
        time.sleep(600)
    except KeyboardInterrupt:
        pathlib.Path("interrupted").touch()
        raise
"""


def test_a_conftest_where_one_is_has_no_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "conftest.py").write_text("def pytest_configure(): raise OSError")
    monkeypatch.chdir(here)

    with ForkServer() as server:
        good = ask(server, tmp_path / "good", "def test_it(): pass")
        assert good.run.wait(60)

    assert "1 passed" in good.output.read_text()


def test_runs_end_as_pytest_says(server: ForkServer, tmp_path: Path) -> None:
    good = ask(server, tmp_path / "good", "def test_it(): pass")
    bad = ask(server, tmp_path / "bad", "def test_it(): assert False, 'so it is'")

    assert good.run.wait(60)
    assert bad.run.wait(60)

    assert (good.run.exit_status, bad.run.exit_status) == (0, 1)
    assert "1 passed" in good.output.read_text()
    assert "so it is" in bad.output.read_text()
    assert server.last_output() == []


def test_what_each_run_needs_is_found_out_once(server: ForkServer, tmp_path: Path) -> None:
    text = """
    import sys

    def test_it():
        assert {"labctl.kernel.holder", "labctl.observe.ladder"} <= set(sys.modules)
        from labctl.programs.sandbox_tools import find_tools, why_no_sandbox
        assert why_no_sandbox.cache_info().currsize == 1
        assert find_tools.cache_info().currsize == (why_no_sandbox() is None)
    """

    asked = ask(server, tmp_path / "run", text)

    assert asked.run.wait(60)
    assert asked.run.exit_status == 0, asked.output.read_text()


def test_one_run_knows_nothing_of_another(server: ForkServer, tmp_path: Path) -> None:
    text = """
    import builtins, os, random, sys, tempfile

    def test_it():
        assert not hasattr(builtins, "been_here")
        builtins.been_here = True
        assert os.getcwd() == os.path.dirname(__file__)
        assert tempfile.gettempdir() == os.environ["TMPDIR"] == os.getcwd()
        open("random", "w").write(str(random.random()))
        print("to my own output")
        sys.stderr.write("")
        os.write(1, b"")
        assert not [name for name in os.environ if name.startswith("PYTEST_ADD")]
    """
    runs = [ask(server, tmp_path / f"{n}", text) for n in range(3)]

    assert all(asked.run.wait(60) for asked in runs)

    assert [asked.run.exit_status for asked in runs] == [0, 0, 0], runs[0].output.read_text()
    assert len({(tmp_path / f"{n}" / "random").read_text() for n in range(3)}) == 3


def test_all_runs_can_be_interrupted_and_those_that_come_after(
    server: ForkServer, tmp_path: Path
) -> None:
    asked = [ask(server, tmp_path / name, WAITS) for name in ("one", "other")]
    for name in ("one", "other"):
        pid_in(tmp_path / name / "pid")
    server.interrupt()
    asked.append(ask(server, tmp_path / "late", WAITS))

    for each in asked:
        assert each.run.wait(60)
    *begun, late = (each.run.exit_status for each in asked)
    assert begun == [pytest.ExitCode.INTERRUPTED] * 2
    # It may not have come as far as to where pytest sees to that.
    assert late in (pytest.ExitCode.INTERRUPTED, -signal.SIGINT)


def test_a_run_can_be_interrupted(server: ForkServer, tmp_path: Path) -> None:
    asked = ask(server, tmp_path / "it", WAITS)
    pid_in(tmp_path / "it" / "pid")

    assert not asked.run.wait(0.0)
    asked.run.interrupt()

    assert asked.run.wait(60)
    assert asked.run.exit_status == pytest.ExitCode.INTERRUPTED
    assert is_there(tmp_path / "it" / "interrupted")


LOSES_INTERRUPTS = """
import pathlib, signal, time
import pytest

class Deaf:
    def __del__(self):
        pathlib.Path("deaf").touch()
        time.sleep(600)

@pytest.fixture
def slow():
    yield
    time.sleep(3)
    pathlib.Path("tidied").touch()

def test_it(slow):
    deaf = Deaf()
    del deaf
    pathlib.Path("after").touch()
    signal.pause()
"""


def test_an_interrupt_that_is_lost_comes_again_until_it_is_heard(
    server: ForkServer, tmp_path: Path
) -> None:
    asked = ask(server, tmp_path / "it", LOSES_INTERRUPTS)
    assert is_there(tmp_path / "it" / "deaf")
    assert not (tmp_path / "it" / "after").exists()

    asked.run.interrupt()

    assert is_there(tmp_path / "it" / "after")
    assert asked.run.wait(60)
    assert asked.run.exit_status == pytest.ExitCode.INTERRUPTED
    assert (tmp_path / "it" / "tidied").exists()


def test_a_run_can_be_killed(server: ForkServer, tmp_path: Path) -> None:
    asked = ask(server, tmp_path / "it", WAITS)
    pid = pid_in(tmp_path / "it" / "pid")

    asked.run.kill()

    assert asked.run.wait(60)
    assert asked.run.exit_status == -9
    assert not is_alive(pid)


def test_a_run_that_nobody_waits_for_is_killed_and_others_go_on(
    server: ForkServer, tmp_path: Path
) -> None:
    left = ask(server, tmp_path / "left", WAITS)
    other = ask(server, tmp_path / "other", WAITS)
    pid, other_pid = pid_in(tmp_path / "left" / "pid"), pid_in(tmp_path / "other" / "pid")

    left.run.close()

    assert until(lambda: not is_alive(pid), LIMIT_S)
    assert is_alive(other_pid)
    other.run.interrupt()
    assert other.run.wait(60)


def test_the_end_of_the_server_is_the_end_of_its_runs(tmp_path: Path) -> None:
    with ForkServer() as server:
        asked = ask(server, tmp_path / "it", WAITS)
        pid = pid_in(tmp_path / "it" / "pid")

    assert not is_alive(pid)
    assert asked.run.wait(60)
    assert asked.run.exit_status is None


def test_whoever_asked_may_be_killed(tmp_path: Path) -> None:
    program = f"""
import os
from pathlib import Path
from tests.grading.test_forkserver import WAITS, ForkServer, ask
server = ForkServer()
asked = ask(server, Path({str(tmp_path / "it")!r}), WAITS)
asked.run.wait()
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[2]) as asker:
        pid = pid_in(tmp_path / "it" / "pid")
        server = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        asker.kill()

    assert until(lambda: not is_alive(pid) and not is_alive(server), LIMIT_S)


def test_a_server_that_is_gone_is_said_to_be(server: ForkServer, tmp_path: Path) -> None:
    asked = ask(server, tmp_path / "it", WAITS)
    pid = pid_in(tmp_path / "it" / "pid")
    os.kill(int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]), 9)

    assert asked.run.wait(60)
    assert asked.run.exit_status is None
    assert until(lambda: not is_alive(pid), LIMIT_S)
    with pytest.raises(LabError, match="the process that starts checks is gone"):
        ask(server, tmp_path / "other", WAITS)


def test_forks_of_this_process_may_ask_too(server: ForkServer, tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            asked = ask(server, tmp_path / "it", "def test_it(): pass")
            asked.run.wait(60)
            code = asked.run.exit_status or 0
        finally:
            os._exit(code)

    _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert "1 passed" in (tmp_path / "it" / "output").read_text()
