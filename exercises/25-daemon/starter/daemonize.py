#!/usr/bin/env python3
"""Run a command as a daemon. The task is in README.md.

usage: daemonize FLAGS COMMAND [ARGUMENT...]
"""

import errno
import os
import sys


def become_daemon(flags: int) -> None:
    """Let go of everything that came from whoever started us."""
    # TODO: a session of its own, the folder /, umask 0, no files but /dev/null; what FLAGS leave out.
    if os.fork():
        os._exit(0)


def main(arguments: list[str]) -> None:
    if len(arguments) < 2:
        print("usage: daemonize FLAGS COMMAND [ARGUMENT...]", file=sys.stderr)
        sys.exit(2)
    become_daemon(int(arguments[0], 8))
    try:
        os.execvp(arguments[1], arguments[1:])
    except OSError as error:
        # TODO: the process that the shell waits for has ended by now, with status 0.
        sys.exit(f"error: exec: {errno.errorcode[error.errno]} ({error.strerror})")


if __name__ == "__main__":
    main(sys.argv[1:])
