#!/usr/bin/env python3
"""Run a command as a daemon.

usage: daemonize FLAGS COMMAND [ARGUMENT...]

FLAGS is an octal number, the sum of what is not to be done (0: all is done):

    01   do not change to the folder /
    02   do not close the files that are open
    04   do not open /dev/null as standard input, output and error
    010  do not set the umask to 0

Exit 0 once COMMAND runs, and 1 where it cannot be started: the reason is on stderr.

What it shows: a process has more from whoever started it than it says: a session and with it a
terminal, a folder, open files, a umask, signals that are ignored. A daemon lets go of each.
"""

import errno
import fcntl
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

NO_CHDIR = 0o1
NO_CLOSE_FILES = 0o2
NO_REOPEN_STANDARD_FILES = 0o4
NO_UMASK = 0o10


class FailedError(Exception):
    """A call has failed; the text is what there is to say about it."""


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Turn the failure of a system call into the one line that is said about it."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        raise FailedError(f"error: {call}: {name} ({error.strerror})") from None


def become_daemon(flags: int, kept_fd: int) -> None:
    """Let go of everything that came from whoever started us; return in another process.

    One descriptor stays open: we still have to tell whether all went well.
    """
    # A shell makes each command the leader of a process group, and a leader may not call
    # setsid() (EPERM). Its child is no leader.
    if fork():
        os._exit(0)
    # A session of our own has no terminal: no Ctrl-C, and no SIGHUP when the window is closed.
    with calling("setsid"):
        os.setsid()
    # The leader of a session gets a terminal again by opening one without O_NOCTTY. So the
    # leader ends, and the daemon is somebody else in its session.
    if fork():
        os._exit(0)

    if not flags & NO_UMASK:
        os.umask(0)  # files get the mode that the daemon asks for
    if not flags & NO_CHDIR:
        with calling("chdir"):
            os.chdir("/")  # elsewhere we would keep a file system from being unmounted
    if not flags & NO_CLOSE_FILES:
        # Whoever waits for the end of a pipe would wait for us.
        os.closerange(0, kept_fd)
    if not flags & NO_REOPEN_STANDARD_FILES:
        # Not closed only: the next file or socket would be descriptor 1, and get each print().
        with calling("open"):
            null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
            # Python opens files for itself alone; where `null` is 0, dup2() has done nothing.
            os.set_inheritable(fd, True)
        if null > 2:
            os.close(null)


def fork() -> int:
    with calling("fork"):
        return os.fork()


def execute(command: list[str]) -> None:
    """Become the command."""
    # Python ignores these two, and what is ignored stays so: a daemon that writes into a pipe
    # that nobody reads would go on and on.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    with calling("exec"):
        os.execvp(command[0], command)


def run_as_daemon(flags: int, command: list[str]) -> str:
    """Start the daemon; return what went wrong, or nothing once the command runs."""
    with calling("pipe"):
        read_end, write_end = os.pipe()
    # Not 0, 1 or 2, even if one of them was closed when we were started.
    status_fd = fcntl.fcntl(write_end, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(write_end)
    if fork():
        os.close(status_fd)
        # The pipe ends when nobody has its other end: exec() closes it (close-on-exec), and so
        # does the end of a process that has failed and said why.
        with open(read_end, encoding="utf-8") as status:
            return status.read()
    os.close(read_end)
    try:
        become_daemon(flags, status_fd)
        execute(command)
    except FailedError as failed:
        # Our standard error is /dev/null by now: the first process says it.
        os.write(status_fd, str(failed).encode())
    finally:
        os._exit(1)


def main(arguments: list[str]) -> None:
    if len(arguments) < 2 or not re.fullmatch("0?[01]?[0-7]", arguments[0]):
        print("usage: daemonize FLAGS COMMAND [ARGUMENT...]", file=sys.stderr)
        sys.exit(2)
    try:
        sys.exit(run_as_daemon(int(arguments[0], 8), arguments[1:]) or 0)
    except FailedError as failed:
        sys.exit(str(failed))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
