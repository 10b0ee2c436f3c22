"""What a command notices of being brought into a node: nothing but the network."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from labctl.kernel.ending import end_holder
from labctl.kernel.state import wait_ended
from labctl.wait import until
from tests.checkers import CHECKOUT
from tests.limits import LIMIT_S
from tests.owners import OWNERS, Owner, owner_of_kind, signal_mask

pytestmark = pytest.mark.kernel


class Lab(NamedTuple):
    owner: Owner
    name: str

    def run(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return self.owner.labctl("exec", "-l", self.name, "client1", "--", *command, stdin=stdin)

    def start(self, *command: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        return self.owner.start("exec", "-l", self.name, "client1", "--", *command, stdin=stdin)

    def joiners(self) -> list[str]:
        return [path.name for path in Path(self.owner.state(self.name).file("joiners")).iterdir()]


@pytest.fixture(params=OWNERS)
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    owner = owner_of_kind(request.param, request)
    with owner.lab() as name:
        yield Lab(owner, name)


@pytest.mark.parametrize("status", [0, 1, 7, 125, 255])
def test_the_exit_code_is_the_commands_own(lab: Lab, status: int) -> None:
    assert lab.run("sh", "-c", f"exit {status}").returncode == status


def test_a_signal_that_ends_the_command_gives_128_and_its_number(lab: Lab) -> None:
    assert lab.run("sh", "-c", "kill -KILL $$").returncode == 128 + 9


def test_a_command_that_is_not_there_is_named(lab: Lab) -> None:
    done = lab.run("no-such-command", "-x")

    assert done.returncode == 127
    assert 'error: there is no command "no-such-command"' in done.stderr
    assert "hint: " in done.stderr


def test_a_folder_on_the_path_that_is_closed_does_not_make_a_command_be_there(
    lab: Lab, tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    path = {"PATH": f"{closed}:{lab.owner.environment['PATH']}"}

    words = ("exec", "-l", lab.name, "client1", "--", "no-such-command")
    done = lab.owner.labctl(*words, environment=path)

    assert done.returncode == 127
    assert 'error: there is no command "no-such-command"' in done.stderr


def test_a_file_on_the_path_that_is_no_program_is_named(lab: Lab) -> None:
    path = {"PATH": f"/etc:{lab.owner.environment['PATH']}"}

    words = ("exec", "-l", lab.name, "client1", "--", "group")
    done = lab.owner.labctl(*words, environment=path)

    assert done.returncode == 126
    assert 'error: cannot execute "group"' in done.stderr


def test_a_file_that_is_no_program_is_named(lab: Lab) -> None:
    done = lab.run("/etc/passwd")

    assert done.returncode == 126
    assert 'error: cannot execute "/etc/passwd"' in done.stderr
    assert "hint: chmod +x" in done.stderr


def test_input_and_both_outputs_are_the_callers(lab: Lab) -> None:
    done = lab.run("sh", "-c", "tr a-z A-Z; echo problem >&2", stdin="hello")

    assert (done.stdout, done.stderr) == ("HELLO", "problem\n")


def test_the_environment_arrives_whole(lab: Lab) -> None:
    big = {f"BIG{number}": "x" * 100_000 for number in range(5)}
    words = ("exec", "-l", lab.name, "client1", "--", "sh", "-c", "echo ${#BIG0} ${#BIG4}")

    assert lab.owner.labctl(*words, environment=big).stdout == "100000 100000\n"


def test_the_working_directory_stays(lab: Lab) -> None:
    words = ("exec", "-l", lab.name, "client1", "--", "pwd")

    assert lab.owner.labctl(*words, cwd=Path("/usr/share")).stdout == "/usr/share\n"


def test_a_working_directory_that_was_removed_does_not_matter(lab: Lab) -> None:
    script = f'mkdir {lab.name} && cd {lab.name} && rmdir ../{lab.name} && exec "$@"'
    words = (*lab.owner.program, "exec", "-l", lab.name, "client1", "--", "echo", "alive")
    done = subprocess.run(
        ["sh", "-c", script, "sh", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd="/tmp",
        env=dict(lab.owner.environment),
    )

    assert (done.stdout, done.returncode) == ("alive\n", 0), done.stderr


@pytest.mark.parametrize("name", ["TERM", "HUP", "USR1", "USR2"])
def test_a_signal_sent_to_labctl_reaches_the_command(lab: Lab, name: str) -> None:
    script = f"trap 'echo got {name}; exit 3' {name}; echo ready; while :; do sleep 0.01; done"
    with lab.start("sh", "-c", script) as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        process.send_signal(getattr(signal, f"SIG{name}"))
        output, _ = process.communicate(timeout=30)

    assert (ready, output, process.returncode) == ("ready\n", f"got {name}\n", 3)


BEFORE_IT_WAITS = """
import ctypes, operator, os
from labctl.cli import run_and_exit

labctl, libc, read = os.getpid(), ctypes.CDLL(None), os.read

def signal_and_read(fd, size):
    if os.getpid() != labctl or size != 4096:
        return read(fd, size)
    os.read = read
    buffer = ctypes.create_string_buffer(size)
    # One after the other, and no step of the interpreter in between.
    _, got = map(operator.call, (libc.kill, libc.read), (labctl, fd), (15, buffer), (0, size))
    return buffer.raw[:got]

os.read = signal_and_read
run_and_exit()
"""

BEFORE_IT_IS_EXECUTED = """
import os
from labctl.cli import run_and_exit
from labctl.kernel import join

enter_node = join.enter_node

def enter_node_and_signal(*arguments, **options):
    enter_node(*arguments, **options)
    os.kill(os.getpid(), 15)

join.enter_node = enter_node_and_signal
run_and_exit()
"""


@pytest.mark.parametrize(
    "script", [BEFORE_IT_WAITS, BEFORE_IT_IS_EXECUTED], ids=["labctl", "the command"]
)
def test_a_signal_that_comes_in_the_moment_before_is_not_lost(
    request: pytest.FixtureRequest, script: str
) -> None:
    owner = owner_of_kind(OWNERS[0], request)
    with owner.lab() as name:
        words = ("exec", "-l", name, "client1", "--", "sleep", "1000")
        done = subprocess.run(
            [sys.executable, "-c", script, *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=CHECKOUT,
            env=dict(owner.environment),
            timeout=LIMIT_S,
        )

    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "")


def test_a_command_that_survives_ctrl_c_is_waited_for(lab: Lab) -> None:
    # The signal ends the first `read` of some shells, and not that of others.
    script = "trap 'echo survived' INT; echo ready; read word || read word; echo $word"
    with lab.start("sh", "-c", script, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        # The terminal sends it to the whole group.
        os.killpg(process.pid, signal.SIGINT)
        survived = process.stdout.readline()
        output, _ = process.communicate("bye\n", timeout=30)

    assert (survived, output, process.returncode) == ("survived\n", "bye\n", 0)


def test_a_signal_that_the_caller_ignores_is_ignored_by_the_command(lab: Lab) -> None:
    words = (*lab.owner.program, "exec", "-l", lab.name, "client1", "--")
    status = subprocess.run(
        [
            "sh",
            "-c",
            'trap "" HUP INT; exec "$@"',
            "sh",
            *words,
            "grep",
            "SigIgn",
            "/proc/self/status",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=lab.owner.home,
        env=dict(lab.owner.environment),
    ).stdout

    assert signal_mask(status) == 1 << (signal.SIGHUP - 1) | 1 << (signal.SIGINT - 1)


def test_the_command_has_the_signals_of_a_fresh_process(lab: Lab) -> None:
    status = lab.run("grep", "-E", "Sig(Blk|Ign)", "/proc/self/status").stdout

    assert [signal_mask(line) for line in status.splitlines()] == [0, 0]


def test_the_command_dies_with_a_labctl_that_is_killed(lab: Lab) -> None:
    with lab.start("sh", "-c", "echo $$; exec cat", stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        pid = process.stdout.readline().strip()
        process.kill()
        process.wait()
        # Everybody in the lab shares its pid namespace.
        gone = until(lambda: lab.run("sh", "-c", f"! kill -0 {pid}").returncode == 0, LIMIT_S)

    assert pid.isdecimal()
    assert gone


def test_who_is_inside_is_noted_as_long_as_it_is(lab: Lab) -> None:
    with lab.start("cat", stdin=subprocess.PIPE) as process:
        noted = until(lab.joiners, LIMIT_S)
        process.communicate()

    assert noted is not None
    assert len(noted) == 1
    assert noted[0].partition(".")[0] == str(process.pid)
    assert lab.joiners() == []


def test_a_lab_that_ends_under_the_command_is_an_error(lab: Lab) -> None:
    with lab.start("sh", "-c", "echo in; exec cat", stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        opened = lab.owner.state(lab.name).open_holder()
        assert opened is not None
        end_holder(opened[1])
        assert wait_ended(opened[1], 30)
        os.close(opened[1])
        _, errors = process.communicate(timeout=30)

    assert process.returncode == 3
    assert f'error: the lab "{lab.name}" went down' in errors


def test_a_command_in_a_lab_that_is_not_up_is_an_error(lab: Lab) -> None:
    done = lab.owner.labctl("exec", "-l", f"{lab.name}x", "client1", "true")

    assert done.returncode == 2
    assert f'error: lab "{lab.name}x" is not up' in done.stderr


def test_a_node_that_is_misspelt_is_corrected(lab: Lab) -> None:
    done = lab.owner.labctl("exec", "-l", lab.name, "clent1", "true")

    assert done.returncode == 2
    assert 'has no node "clent1"' in done.stderr
    assert 'did you mean "client1"?' in done.stderr
