"""Checks of daemon. The contract is in README.md."""

import os

import pytest
from seen import COMMAND, NULL, OPEN_FILE, UMASK, Seen, daemon, daemon_of, returned, seen, start

from labctl.testing import WITHIN_S, Submission, expect, expect_equal, unmet, until

WORDS = {os.O_RDONLY: "for reading", os.O_WRONLY: "for writing", os.O_RDWR: "for both"}


@pytest.mark.points(2)
def test_the_shell_goes_on(submission: Submission) -> None:
    """the shell goes on at once, and the daemon runs: nobody's child but init's"""
    shell = start(submission, "0", *COMMAND)
    hint = (
        "a shell makes its command the leader of a process group, and such a leader may not call "
        "setsid(): fork() first; the parent ends with status 0 as soon as the daemon runs"
    )
    said = returned(shell, hint)
    if said != "exit 0":
        complaint = shell.stderr.decode(errors="replace").strip().splitlines()[-1:]
        unmet("exit status 0", f"{said}, and on stderr: {' '.join(complaint) or 'nothing'}", hint)
    found = daemon_of(shell)
    first = shell.pids()[0]
    expect(
        # Who has forked it may still be about to end.
        until(lambda: seen(found.pid).parent == first, WITHIN_S),
        expected="the daemon's parent is who takes orphans",
        actual="it is somebody else, who goes on",
        hint="a process whose parent has ended is given to pid 1, or to a subreaper (prctl(2))",
    )
    expect(
        until(lambda: set(shell.pids()) == {first, found.pid}, WITHIN_S),
        expected="one process is left, the daemon",
        actual=f"{len(shell.pids()) - 1} are left",
        hint="after each fork() the parent ends; the last child becomes COMMAND (exec, not spawn)",
    )


@pytest.mark.needs("test_the_shell_goes_on")
@pytest.mark.points(0.5)
def test_nothing_is_printed(submission: Submission) -> None:
    """where all goes well nothing is printed"""
    shell, _ = daemon(submission)
    printed = shell.line(expected="what the program has printed")
    hint = "the exit status says that all is well; messages are for what is not"
    expect_equal(printed, "terminal ''", "what was printed to the terminal (stdout)", hint)
    expect_equal(shell.stderr, b"", "stderr", hint)


@pytest.mark.needs("test_the_shell_goes_on")
@pytest.mark.points(0.5)
def test_the_command_has_options_of_its_own(submission: Submission) -> None:
    """what stands behind the command belongs to it, options too"""
    shell = start(submission, "0", "sh", "-c", f"exec {' '.join(COMMAND)}")
    hint = (
        "FLAGS and COMMAND are the first two arguments: leave the rest as it is; getopt() and "
        "argparse look for options in all of it"
    )
    expect_equal(returned(shell, hint), "exit 0", "how it ends", hint)
    daemon_of(shell)


@pytest.mark.needs("test_the_shell_goes_on")
@pytest.mark.points(1.5)
def test_the_daemon_has_no_terminal(submission: Submission) -> None:
    """the daemon is in another session, and has no terminal"""
    shell, found = daemon(submission)
    # The shell is the first process, and has a terminal.
    expect(
        found.session != shell.pids()[0],
        expected="the daemon is in another session than the shell",
        actual="it is in the shell's",
        hint="setsid(), in a child of the process that the shell has started",
    )
    expect_equal(found.terminal, 0, "tty_nr in /proc/PID/stat", "a new session has no terminal")


@pytest.mark.needs("test_the_daemon_has_no_terminal")
@pytest.mark.points(1)
def test_the_daemon_is_no_session_leader(submission: Submission) -> None:
    """the daemon cannot get a terminal again: it does not lead its session"""
    _, found = daemon(submission)
    expect(
        found.session != found.pid,
        expected="the leader of the daemon's session is another process, which has ended",
        actual="it is the daemon itself",
        hint="fork() once more after setsid(); the leader ends, its child is the daemon",
    )


@pytest.mark.needs("test_the_shell_goes_on")
@pytest.mark.points(1)
def test_folder_and_umask(submission: Submission) -> None:
    """its folder is /, and its umask 0"""
    _, found = daemon(submission)
    expect_equal(
        found.folder,
        "/",
        "the daemon's folder",
        "chdir(): in any other folder it keeps a file system from being unmounted",
    )
    expect_equal(
        found.umask,
        "0000",
        "the daemon's umask",
        "umask(0): files get the mode that the daemon asks for, whoever started it",
    )


@pytest.mark.needs("test_the_shell_goes_on")
@pytest.mark.points(1.5)
def test_nothing_is_open_but_dev_null(submission: Submission) -> None:
    """nothing is open but /dev/null, as 0, 1 and 2"""
    _, found = daemon(submission)
    expect_null(found)
    expect_equal(
        sorted(found.files),
        [0, 1, 2],
        "open descriptors",
        "close each number up to sysconf(_SC_OPEN_MAX), or call close_range(); what you need "
        "yourself until exec() is close-on-exec",
    )


@pytest.mark.needs("test_nothing_is_open_but_dev_null", "test_folder_and_umask")
@pytest.mark.points(1)
@pytest.mark.parametrize("flags", ["01", "02", "04", "06", "010", "017", "10"])
def test_each_flag_leaves_one_thing_undone(submission: Submission, flags: str) -> None:
    """each flag leaves one thing undone, and nothing else"""
    _, found = daemon(submission, flags)
    number = int(flags, 8)
    hint = f"FLAGS is {flags}, an octal number; compare with & each of 01, 02, 04 and 010"
    folder = "not changed" if found.folder != "/" else "/"
    expect_equal(folder, "not changed" if number & 0o1 else "/", "its folder", hint)
    expect_equal(found.umask, UMASK if number & 0o10 else "0000", "its umask", hint)
    is_open = OPEN_FILE in found.files
    expect_equal(is_open, bool(number & 0o2), "whether the shell's open file stays open", hint)
    if not number & 0o4:
        expect_null(found)
    elif number & 0o2:
        standard = [found.files.get(fd, (NULL, 0))[0] != NULL for fd in (0, 1, 2)]
        expect_equal(standard, [True] * 3, "whether 0, 1 and 2 are what they were", hint)
    else:
        expect_equal(sorted(found.files), [], "open descriptors: closed, not opened again", hint)


def expect_null(found: Seen) -> None:
    for fd in (0, 1, 2):
        device, opened = found.files.get(fd, (None, 0))
        expect(
            device == NULL,
            expected=f"descriptor {fd} is /dev/null",
            actual=f"descriptor {fd} is {'closed' if device is None else 'something else'}",
            hint="open /dev/null, and dup2() it onto 0, 1 and 2; none of them close-on-exec, which "
            "in Python a file is that os.open() returns",
        )
        wanted = os.O_WRONLY if fd else os.O_RDONLY
        expect(
            opened in (wanted, os.O_RDWR),
            expected=f"descriptor {fd} is open {WORDS[wanted]}",
            actual=f"it is open {WORDS.get(opened, '?')}",
            hint="open it with O_RDWR",
        )


@pytest.mark.needs("test_the_shell_goes_on")
@pytest.mark.points(0.5)
def test_no_signal_is_ignored(submission: Submission) -> None:
    """no signal is ignored or blocked that was not before"""
    _, found = daemon(submission)
    hint = "exec() keeps what is ignored; Python itself ignores SIGPIPE and SIGXFSZ"
    expect_equal(found.ignored, 0, "SigIgn in /proc/PID/status", hint)
    expect_equal(found.blocked, 0, "SigBlk in /proc/PID/status", hint)


@pytest.mark.needs("test_the_shell_goes_on")
@pytest.mark.points(1.5)
@pytest.mark.parametrize(
    ("command", "error"), [("no-such-command", "ENOENT"), ("/etc/passwd", "EACCES")]
)
def test_a_failure_is_told(submission: Submission, command: str, error: str) -> None:
    """a command that cannot be started is told: exit status 1, a line on stderr, no daemon"""
    shell = start(submission, "0", command)
    hint = (
        "the first process ends when it knows: let it read from a pipe whose other end is "
        "close-on-exec; if exec() fails write the reason there, since stderr is /dev/null by now"
    )
    expect_equal(returned(shell, hint), "exit 1", "how it ends", hint)
    until(lambda: b"\n" in shell.stderr, WITHIN_S)
    said = shell.stderr.decode(errors="replace").strip()
    expect(
        said.startswith(f"error: exec: {error}") and "\n" not in said,
        expected=f"on stderr, in one line: error: exec: {error} (…)",
        actual=f"on stderr: {said or 'nothing'}",
        hint=hint,
    )
    expect(
        until(lambda: len(shell.pids()) == 1, WITHIN_S),
        expected="no process is left",
        actual=f"{len(shell.pids()) - 1} are left",
        hint="where exec() returns, it has failed: _exit()",
    )
