import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import Labctl
from tests.limits import LIMIT_S
from tests.ordinary_user import OrdinaryUser

pytestmark = pytest.mark.kernel

# Longer than any pipe holds.
MEGABYTES = bytes(range(256)) * 4096 * 3

SAYS_WHAT_IT_GETS = """
import signal, sys
expected = {signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
signal.pthread_sigmask(signal.SIG_BLOCK, expected)
print("ready", flush=True)
print(signal.Signals(signal.sigwait(expected)).name)
sys.exit(7)
"""


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_the_exit_code_is_the_commands(labctl: Labctl, pair: str, code: int) -> None:
    assert labctl("exec", "-l", pair, "client", "--", "sh", "-c", f"exit {code}").code == code


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_signals_exit_code_is_the_shells(
    labctl: Labctl, pair: str, number: signal.Signals
) -> None:
    done = labctl("exec", "-l", pair, "client", "--", "sh", "-c", f"kill -{int(number)} $$")

    assert done == (128 + number, "", "")


def test_a_command_that_is_not_there(labctl: Labctl, pair: str) -> None:
    done = labctl("exec", "-l", pair, "client", "pong")

    assert done.code == 127
    assert done.err == (
        'error: there is no command "pong"\n  hint: is it installed, and on your PATH?\n'
    )


def test_a_command_that_is_no_program(labctl: Labctl, pair: str, tmp_path: Path) -> None:
    labctl.write("notes.txt", "not a program\n")
    done = labctl("exec", "-l", pair, "client", "--", "./notes.txt")

    assert done.code == 126
    assert 'error: cannot execute "./notes.txt": Permission denied' in done.err
    assert "hint: chmod +x ./notes.txt" in done.err


def test_the_command_runs_in_the_node(labctl: Labctl, pair: str) -> None:
    done = labctl("exec", "-l", pair, "client", "--", "ping", "-c", "1", "-W", "5", "server")

    assert done.code == 0
    assert "bytes from server (10.0.0.2)" in done.out


def test_standard_input_and_output_pass_every_byte(labctl: Labctl, pair: str) -> None:
    done = subprocess.run(
        [*labctl.command, "exec", "-l", pair, "client", "--", "cat"],
        input=MEGABYTES,
        capture_output=True,
        check=False,
        timeout=LIMIT_S,
        env=labctl.environment,
    )

    assert done.returncode == 0
    assert done.stdout == MEGABYTES


def test_output_and_errors_stay_apart(labctl: Labctl, pair: str) -> None:
    done = labctl("exec", "-l", pair, "client", "--", "sh", "-c", "echo out; echo err >&2")

    assert done == (0, "out\n", "err\n")


def test_a_closed_output_ends_for_its_reader_while_the_command_runs(
    labctl: Labctl, pair: str
) -> None:
    script = "echo last; exec >&-; read word; exit $word"
    with labctl.running("exec", "-l", pair, "client", "--", "sh", "-c", script) as command:
        command.expect("last")
        assert command.rest() == ""
        assert command.process.poll() is None
        command.type("9\n")
        assert command.end() == (9, "")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"])
def test_a_signal_to_labctl_reaches_the_command(labctl: Labctl, pair: str, name: str) -> None:
    words = ("exec", "-l", pair, "client", "--", sys.executable, "-c", SAYS_WHAT_IT_GETS)
    with labctl.running(*words) as command:
        command.expect("ready")
        command.process.send_signal(signal.Signals[name])
        assert command.rest() == f"{name}\n"
        assert command.end() == (7, "")


def test_a_killed_labctl_takes_the_command_along(labctl: Labctl, pair: str) -> None:
    words = ("exec", "-l", pair, "client", "--", "sh", "-c", "echo ready; exec cat")
    with labctl.running(*words) as command:
        command.expect("ready")
        command.process.kill()
        # The command alone still holds this pipe.
        assert command.rest() == ""


def test_the_lab_that_goes_down_ends_the_command(labctl: Labctl, pair: str) -> None:
    words = ("exec", "-l", pair, "client", "--", "sh", "-c", "echo ready; cat")
    with labctl.running(*words) as command:
        command.expect("ready")
        assert labctl("down", pair).code == 0
        code, said = command.end()

    assert code == 3
    assert f'error: the lab "{pair}" went down' in said


def test_environment_and_folder_carry_over(labctl: Labctl, pair: str) -> None:
    done = labctl(
        "exec", "-l", pair, "client", "--", "sh", "-c", 'pwd; echo "$COLOUR"; echo "$LABCTL_NODE"',
        environment={"COLOUR": "blue as the sea"},
    )  # fmt: skip

    assert done.out.splitlines() == [str(labctl.folder), "blue as the sea", "client"]


def test_the_command_gets_the_three_streams_and_no_more(labctl: Labctl, pair: str) -> None:
    done = labctl("exec", "-l", pair, "client", "--", "ls", "/proc/self/fd")

    # The fourth is the folder that `ls` reads.
    assert done.out.split() == ["0", "1", "2", "3"]


def test_the_command_sees_the_labs_processes_only(labctl: Labctl, pair: str) -> None:
    done = labctl("exec", "-l", pair, "client", "--", "cat", "/proc/1/comm")

    assert done.out == "labctl-holder\n"


def test_words_after_the_command_are_its_own(labctl: Labctl, pair: str) -> None:
    done = labctl("exec", "-l", pair, "client", "echo", "-l", "--json", "--", "--help")

    assert done.out == "-l --json -- --help\n"


def test_an_option_after_the_node_is_no_command(labctl: Labctl, pair: str) -> None:
    done = labctl("exec", "client", "-l", pair, "--", "true")

    assert done.code == 2
    assert 'error: "-l" is no command' in done.err
    assert "hint: options stand before the node" in done.err


def test_no_command_at_all(labctl: Labctl, pair: str) -> None:
    done = labctl("exec", "-l", pair, "client")

    assert done.code == 2
    assert "hint: labctl exec client -- ip address" in done.err


def test_a_node_that_does_not_exist(labctl: Labctl, pair: str) -> None:
    done = labctl("exec", "-l", pair, "clint", "--", "true")

    assert done.code == 2
    assert f'error: the lab "{pair}" has no node "clint"' in done.err
    assert 'hint: did you mean "client"?' in done.err


def test_a_lab_that_is_not_up(labctl: Labctl) -> None:
    done = labctl("exec", "-l", "no-such-lab", "client", "--", "true")

    assert done.code == 2
    assert 'error: lab "no-such-lab" is not up' in done.err


@pytest.mark.slow
def test_the_only_lab_need_not_be_named(lone_user: OrdinaryUser) -> None:
    assert lone_user.run("labctl", "exec", "client", "true").stderr.startswith(
        "error: no lab is up\n  hint: labctl up "
    )
    lone_user.run("labctl", "up", "pair")
    assert lone_user.run("labctl", "exec", "client", "hostname").stdout == "pair\n"

    lone_user.run("labctl", "up", "pair", "--name", "second")
    refused = lone_user.run("labctl", "exec", "client", "hostname")
    assert refused.returncode == 2
    assert refused.stderr == (
        "error: several labs are up: pair second\n  hint: choose one with -l LAB\n"
    )


@pytest.mark.slow
def test_an_ordinary_user_keeps_his_files(lone_user: OrdinaryUser) -> None:
    lone_user.run("labctl", "up", "pair")
    done = lone_user.run("labctl", "exec", "client", "--", "sh", "-c", "id -u; touch made-inside")

    assert done.stdout == "0\n"
    made = lone_user.home / "made-inside"
    assert made.stat().st_uid == lone_user.home.stat().st_uid
    assert (os.geteuid() == 0) == (made.stat().st_uid != os.geteuid())
