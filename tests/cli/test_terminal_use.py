"""labctl with a person at the keyboard: colours, Ctrl-C, Ctrl-Z, the size of the window."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from labctl.kernel.state import LabState
from labctl.wait import until
from tests.cli.commands import MODES, Labctl, unused_name
from tests.cli.terminals import CTRL_C, CTRL_D, CTRL_Z, Terminal
from tests.limits import LIMIT_S

pytestmark = pytest.mark.kernel

BIG_LAB = ("star", "-p", "clients=300")

# In two parts, so that the echo of what is typed does not look like it.
SAY_READY_THEN_CAT = 'sh -c "printf rea; echo dy; exec cat"'


TELLS_OF_A_NEW_SIZE = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})
signal.signal(signal.SIGWINCH, lambda number, frame: None)
print("ready", flush=True)
signal.sigwait({signal.SIGWINCH})
print(os.get_terminal_size())
"""


def _open(
    labctl: Labctl, *words: str, rows: int = 24, columns: int = 80, is_held: bool = False
) -> Terminal:
    return Terminal(
        [*labctl.command, *words],
        _at_a_terminal(labctl),
        rows=rows,
        columns=columns,
        cwd=labctl.folder,
        is_held=is_held,
    )


def _at_a_terminal(labctl: Labctl) -> Mapping[str, str]:
    environment = {**labctl.environment, "TERM": "xterm", "SHELL": "/bin/bash"}
    environment["HOME"] = str(labctl.folder)
    environment.pop("NO_COLOR", None)
    return environment


def test_the_command_has_the_terminal_and_its_size(labctl: Labctl, pair: str) -> None:
    with _open(labctl, "exec", "-l", pair, "client", "--", "sh", "-c", "tty; stty size",
               rows=33, columns=99) as terminal:  # fmt: skip
        code = terminal.end()

    assert code == 0
    assert terminal.shown.startswith("/dev/pts/")
    assert "33 99\r\n" in terminal.shown


def test_the_command_learns_of_a_new_size(labctl: Labctl, pair: str) -> None:
    words = ("exec", "-l", pair, "client", "--", sys.executable, "-c", TELLS_OF_A_NEW_SIZE)
    with _open(labctl, *words) as terminal:
        terminal.expect("ready\r\n")
        terminal.resize(50, 120)
        terminal.expect("columns=120, lines=50")
        assert terminal.end() == 0


def test_ctrl_c_reaches_the_command_once(labctl: Labctl, pair: str) -> None:
    script = (
        "trap 'echo interrupted; n=$((n+1))' INT; echo ready; while read line; do :; done; exit $n"
    )
    with _open(labctl, "exec", "-l", pair, "client", "--", "bash", "-c", script) as terminal:
        terminal.expect("ready\r\n")
        terminal.type(CTRL_C)
        terminal.expect("interrupted\r\n")
        terminal.type(f"more\n{CTRL_D}")
        code = terminal.end()

    assert code == 1
    assert "Traceback" not in terminal.shown


def test_ctrl_c_ends_a_command_that_does_not_mind_it(labctl: Labctl, pair: str) -> None:
    with _open(labctl, "exec", "-l", pair, "client", "cat") as terminal:
        terminal.type("hello\n")
        # Once as the terminal's echo, once from the command: it runs.
        terminal.expect("hello\r\nhello\r\n")
        terminal.type(CTRL_C)
        code = terminal.end()

    assert code == 130
    assert terminal.shown == "hello\r\nhello\r\n^C"


def test_ctrl_z_stops_the_command_and_fg_goes_on(labctl: Labctl, pair: str) -> None:
    command = " ".join(labctl.command)
    with Terminal(["bash", "--norc", "-i"], _at_a_terminal(labctl)) as terminal:
        terminal.type(f"{command} exec -l {pair} client -- {SAY_READY_THEN_CAT}\n")
        terminal.expect("ready\r\n")
        terminal.type("first\n")
        terminal.expect("first\r\nfirst\r\n")
        terminal.type(CTRL_Z)
        terminal.expect("Stopped")
        # Until it has really stopped it might still read what is meant for the shell.
        assert until(lambda: "T" in _states(terminal, "cat"), LIMIT_S)
        terminal.type("fg\n")
        assert until(lambda: "S" in _states(terminal, "cat"), LIMIT_S)
        terminal.type("second\n")
        terminal.expect("second\r\nsecond\r\n")
        terminal.type(CTRL_D)
        terminal.type("echo code $?\n")
        terminal.expect("code 0\r\n")
        terminal.type("exit\n")
        terminal.end()


def _states(terminal: Terminal, command: str) -> list[str]:
    """Return the states of the session's processes of that name, as ps(1) letters them."""
    shown = subprocess.run(
        ["ps", "-o", "comm=,state=", "--sid", str(terminal.process.pid)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    rows = [line.split() for line in shown.splitlines()]
    return [state for name, state in rows if name == command]


def test_down_ends_a_command_that_is_stopped(labctl: Labctl, pair: str) -> None:
    command = " ".join(labctl.command)
    with Terminal(["bash", "--norc", "-i"], _at_a_terminal(labctl)) as terminal:
        terminal.type(f"{command} exec -l {pair} client -- {SAY_READY_THEN_CAT}\n")
        terminal.expect("ready\r\n")
        terminal.type(CTRL_Z)
        terminal.expect("Stopped")
        assert labctl("down", pair).code == 0
        assert until(lambda: not _states(terminal, "cat"), LIMIT_S)
        terminal.type("exit\n")
        terminal.type("exit\n")
        terminal.end()


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_the_shell_says_where_one_is_and_has_job_control(
    labctl: Labctl, pair: str, shell: str
) -> None:
    """From a shell of one's own, which has the terminal again afterwards."""
    environment = {**_at_a_terminal(labctl), "SHELL": f"/bin/{shell}"}
    command = " ".join(labctl.command)
    with Terminal(["bash", "--norc", "-i"], environment) as terminal:
        terminal.type(f"{command} shell -l {pair} client\n")
        terminal.expect(rf"in client@{pair}; exit \(Ctrl-D\) leaves")
        terminal.expect(rf"\[client@{pair}\] ")
        terminal.type(f"{SAY_READY_THEN_CAT}\n")
        terminal.expect("ready\r\n")
        terminal.type(CTRL_Z)
        terminal.expect(r"\[1\] ?\+ +(Stopped|Suspended)")
        terminal.expect(rf"\[client@{pair}\] ")
        terminal.type("kill -9 %1; fg; (exit 5)\n")
        terminal.expect(rf"\[client@{pair}\] ")
        terminal.type(CTRL_D)
        terminal.expect("bash-")
        terminal.type("echo code $?\n")
        terminal.expect("code 5\r\n")
        terminal.type("exit\n")
        assert terminal.end() == 0

    assert "cannot set terminal process group" not in terminal.shown.lower()
    assert "cannot set tty process group" not in terminal.shown.lower()
    assert "no job control" not in terminal.shown
    assert labctl.is_up(pair)


def test_the_prompt_comes_after_the_users_own(labctl: Labctl, rootless_pair: str) -> None:
    (labctl.folder / ".bashrc").write_text("PS1='my own prompt> '\nalias greet='echo hello'\n")
    with _open(labctl, "shell", "-l", rootless_pair) as terminal:
        terminal.expect(rf"\[{rootless_pair}\] ")
        terminal.type("greet\n")
        terminal.expect("hello\r\n")
        terminal.type("exit\n")
        assert terminal.end() == 0


@pytest.mark.parametrize("mode", MODES)
def test_ctrl_c_while_a_lab_is_built_leaves_nothing(labctl: Labctl, mode: str) -> None:
    name = unused_name()
    lab = LabState(name)
    # It cannot show its progress, and so does not get done with the building.
    with _open(labctl, "up", *BIG_LAB, mode, "--name", name, is_held=True) as terminal:
        assert until(lab.is_up, LIMIT_S)
        assert not lab.is_committed()
        terminal.type(CTRL_C)
        assert until(lambda: not lab.exists(), LIMIT_S)
        terminal.let_go()
        code = terminal.end()

    assert code == 130
    assert "Traceback" not in terminal.shown
    assert not labctl.is_up(name)
    assert not list(Path("/run/netns").glob(f"{name}-*"))


def test_a_big_lab_shows_its_progress_on_a_terminal(labctl: Labctl) -> None:
    name = unused_name()
    try:
        with _open(labctl, "up", *BIG_LAB, "--rootless", "--name", name) as terminal:
            assert terminal.end() == 0
    finally:
        labctl("down", name)

    assert re.search(rf"building {name}: [1-9]\d %", terminal.shown)
    last = terminal.shown.rpartition("\r \r")[2].rpartition(" \r")[2]
    assert last.startswith(f"\x1b[1m{name}\x1b[0m is up (rootless)")


def test_a_pipe_gets_no_progress_and_no_colours(labctl: Labctl) -> None:
    with labctl.lab(*BIG_LAB, "--rootless") as name:
        again = labctl("up", "star", "--name", name, "--rootless")
        listed = labctl("status")

    assert again.err.startswith("error: ")
    assert "building" not in again.err
    assert "\x1b" not in again.err + listed.out


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_can_refuse_escape_codes(
    labctl: Labctl, pair: str, variable: str, value: str
) -> None:
    environment = {**_at_a_terminal(labctl), variable: value}
    for words in (["status", pair], ["up", "pair", "--name", pair], ["ping", pair]):
        with Terminal([*labctl.command, *words], environment) as terminal:
            terminal.end()

        assert "client" in terminal.shown or "error: " in terminal.shown
        assert "\x1b" not in terminal.shown


def test_errors_are_coloured_on_a_terminal(labctl: Labctl) -> None:
    with _open(labctl, "up", "no-such-lab") as terminal:
        assert terminal.end() == 2

    assert terminal.shown.startswith("\x1b[31merror:\x1b[0m there is no lab ")
    assert os.linesep not in terminal.shown.rstrip().replace("\r\n", "", 1)
