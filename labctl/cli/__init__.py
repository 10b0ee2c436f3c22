"""The command line: one file a verb. Errors become text and an exit code here, and only here."""

from __future__ import annotations

import os
import sys

from labctl.errors import LabError, LabErrors, machine_error

VERBS = {
    "up": "build a lab and leave it running",
    "down": "take a lab down; nothing of it is left",
    "status": "show the labs that are up, or one of them as the kernel has it",
    "exec": "run a command in a node",
    "shell": "open a shell in a node",
    "run": "run a program by name in a node, here or in the background (-d)",
    "ps": "list the programs of a lab",
    "logs": "show what a background program printed",
    "stop": "end a background program",
    "impair": "make a link bad, and good again",
    "ping": "ping every node from every node",
    "start": "copy an exercise to work on",
    "check": "check your programs for an exercise, and say what is wrong with them",
    "grade": "check the programs of a whole class",
    "verify": "prove that exercises judge as they should",
    "explain": "print a lab as the shell commands that build it",
    "graph": "draw a lab",
    "schema": "print the JSON Schema of lab files",
    "doctor": "say what this machine can do, and how to mend what it cannot",
    "gc": "remove what crashed labs and checks left behind",
    "completion": "print the shell code that completes labctl's words",
}
"""Every verb with its help; each is a module of this package with the same name, ``_`` added
where Python knows the word already."""

_PLAIN_VERBS = ("exec", "down", "up")
"""Verbs whose plainest use is understood without argparse, which takes longer than the work."""

_ANYWHERE = ("explain", "graph", "schema", "start", "completion")
"""Verbs that look at no running lab."""


def main(words: list[str] | None = None) -> int:
    """Carry out a command line; return the exit code (README: exit codes)."""
    words = sys.argv[1:] if words is None else words
    try:
        return _dispatch(words)
    except LabErrors as errors:
        from labctl.cli.terminal import print_error

        for error in errors.problems:
            print_error(error)
        return errors.exit_code
    except LabError as error:
        from labctl.cli.terminal import print_error

        print_error(error)
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        from labctl.cli.termination import interrupted_code

        return interrupted_code(interrupt)
    except BrokenPipeError:
        # The reader of our output has gone (`labctl status | head`): what it wanted it has.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except OSError as error:
        if os.environ.get("LABCTL_DEBUG"):
            raise
        from labctl.cli.terminal import print_error

        print_error(_machine_refused(error))
        return 3
    except Exception as error:
        if os.environ.get("LABCTL_DEBUG"):
            raise
        from labctl.cli.terminal import print_error

        print_error(
            LabError(
                f"labctl itself failed: {type(error).__name__}: {error}",
                hint="this is a fault of labctl's; with LABCTL_DEBUG=1 it shows where",
            )
        )
        return 3


def run_and_exit() -> None:
    """Be the command ``labctl``: carry out its command line and end the process.

    Without the interpreter's own farewell, which frees one by one what the kernel frees at once.
    """
    _mend_streams()
    code = main()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = 141
    except OSError as error:
        if code != 3:
            from labctl.cli.terminal import print_error

            print_error(_machine_refused(error))
        code = 3
    os._exit(code)


def _mend_streams() -> None:
    """Have somewhere to print to, and print what the terminal's alphabet lacks as ``?``."""
    if sys.stdin is None or sys.stdout is None or sys.stderr is None:
        # `labctl status >&-`: the next file to be opened would be taken for the output.
        while os.open(os.devnull, os.O_RDWR) < 3:
            pass
        sys.stdout = sys.stdout or os.fdopen(1, "w")
        sys.stderr = sys.stderr or os.fdopen(2, "w")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]


def _machine_refused(error: OSError) -> LabError:
    return machine_error(
        str(error.strerror or error).lower(),
        where=os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "",
        hint="with LABCTL_DEBUG=1 labctl shows what it was doing",
    )


def _dispatch(words: list[str]) -> int:
    if (lab := os.environ.get("LABCTL_LAB")) and _needs_the_host(words):
        raise LabError(
            f'this is a shell inside the lab "{lab}", where labctl does not work',
            hint="leave it first (Ctrl-D), or use another terminal",
        )
    if words and words[0] in _PLAIN_VERBS:
        code = _run_plain(words[0], words[1:])
        if code is not None:
            return code
    from labctl.cli.parser import parse

    args = parse(words)
    code = args.run(args)
    assert isinstance(code, int)
    return code


def _needs_the_host(words: list[str]) -> bool:
    # Inside a lab /run and the process numbers are its own: every lab would look crashed.
    if not words or words[0] not in VERBS or words[0] in _ANYWHERE:
        return False
    return "-h" not in words and "--help" not in words


def _run_plain(verb: str, words: list[str]) -> int | None:
    if verb == "exec":
        from labctl.cli import exec_

        return exec_.run_plain(words)
    if verb == "down":
        from labctl.cli import down

        return down.run_plain(words)
    from labctl.cli import up

    return up.run_plain(words)
