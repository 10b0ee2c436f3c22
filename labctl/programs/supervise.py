"""Long-running programs in a lab: start one and see it ready, stop one."""

import os
import re
import signal
from collections.abc import Sequence

from labctl.errors import LabError
from labctl.kernel.control import Control, ProgramStatus, RequestRefused
from labctl.kernel.diag import DiagSocket
from labctl.kernel.joining import path_inside
from labctl.kernel.state import LabState
from labctl.programs.find import find_program
from labctl.programs.logs import read_log, tail
from labctl.programs.ready import Listening, Logged, parse_ready
from labctl.programs.search import search_path
from labctl.wait import until

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)

READY_WITHIN_S = 5.0
STOP_WITHIN_S = 3.0
"""Between SIGTERM and SIGKILL."""


def start_program(
    state: LabState,
    name: str,
    node: str,
    argv: Sequence[str],
    *,
    ready: str = "",
    ready_within_s: float = READY_WITHIN_S,
) -> ProgramStatus:
    """Start a program in a node, under the lab's holder, and wait until it is ready.

    ``argv[0]`` is found as ``labctl run`` finds it. Raises ``LabError`` with the program's last
    output where it cannot be started, ends before it is ready, or is not ready in time; in the
    last case it is stopped.
    """
    condition = parse_ready(ready)
    netns = state.netns(node)
    assert netns is not None
    try:
        command = [*find_program(argv[0], search_path()), *argv[1:]]
    except LabError as error:
        raise LabError(f'program "{name}" of {node}: {error.problem}', hint=error.hint) from None
    control = Control(state)
    try:
        status = control.start(
            name, node, netns, command, environment=program_environment(state), cwd=os.getcwd()
        )
    except RequestRefused as refused:
        raise LabError(
            f'program "{name}" did not start in {node}: {refused.text}',
            hint=f"the command is: {' '.join(command)}",
        ) from None
    if condition is not None:
        _await_ready(control, state, status, netns, condition, ready, ready_within_s)
    return status


def _await_ready(
    control: Control,
    state: LabState,
    program: ProgramStatus,
    netns: str,
    condition: Listening | Logged,
    ready: str,
    within_s: float,
) -> None:
    diag = control.open_socket(netns, DiagSocket.FAMILY, DiagSocket.KIND, DiagSocket.PROTOCOL)

    def is_ready() -> bool:
        match condition:
            case Listening(protocol, port):
                return DiagSocket(diag).is_bound(protocol, port)
            case Logged(text):
                return text.encode() in read_log(state, program.name)

    def outcome() -> str:
        # Its end is looked at first: what it printed last is in the log by then.
        ended = find_status(control, program.name).exit_status
        if is_ready():
            return "ready"
        return "" if ended is None else describe_end(ended)

    with diag:
        result = until(outcome, within_s)
    if result == "ready":
        return
    output = tail(read_log(state, program.name))
    if result:
        raise LabError(
            f'program "{program.name}" in {program.node} {result} before it was ready ({ready})',
            hint="" if output else "it printed nothing",
            output=output,
        )
    stop_program(state, program.name)
    raise LabError(
        f'program "{program.name}" in {program.node} was not ready ({ready}) '
        f"within {within_s:g} s, and was stopped",
        hint="does it say the same port and text as its ready condition?",
        output=output,
    )


def find_status(control: Control, name: str) -> ProgramStatus:
    """Return one program's status. Raises ``LabError`` where the lab never started it."""
    programs = control.programs()
    for program in programs:
        if program.name == name:
            return program
    names = " ".join(program.name for program in programs)
    raise LabError(
        f'the lab has no program "{name}"',
        hint=f"its programs are: {names}" if names else "labctl run -d NODE PROGRAM starts one",
    )


def stop_program(state: LabState, name: str) -> ProgramStatus:
    """End a program: SIGTERM to its process group, SIGKILL if that does not do.

    Raises ``LabError`` where there is none of that name. One that has ended already stays as it is.
    """
    control = Control(state)
    find_status(control, name)
    if name.startswith("("):
        raise LabError(
            f'"{name}" is a part of labctl, and the lab\'s bad links go through it',
            hint="labctl impair --clear makes them good again",
        )
    control.signal(name, signal.SIGTERM)
    ended = control.wait(name, STOP_WITHIN_S)
    if ended is None:
        control.signal(name, signal.SIGKILL)
        ended = control.wait(name, STOP_WITHIN_S)
    if ended is None:
        raise LabError(
            f'program "{name}" does not end', hint="it may hang in the kernel", exit_code=3
        )
    return ended


def describe_end(exit_status: int) -> str:
    """Return how a program ended, in words; negative is a signal's number."""
    if exit_status < 0:
        try:
            return f"was ended by {signal.Signals(-exit_status).name}"
        except ValueError:
            return f"was ended by signal {-exit_status}"  # most real-time signals have no name
    return f"ended with exit status {exit_status}"


def free_name(control: Control, wanted: str) -> str:
    """Return ``wanted``, or with a number where a running program has that name."""
    running = {program.name for program in control.programs() if program.ended is None}
    if wanted not in running:
        return wanted
    return next(name for n in range(2, 10_000) if (name := f"{wanted}-{n}") not in running)


def program_environment(state: LabState) -> dict[str, str]:
    """Return the environment of a program that the holder starts."""
    environment = dict(os.environ)
    # Its output goes to a file, where a line that waits in a buffer helps nobody.
    environment["PYTHONUNBUFFERED"] = "1"
    holder = state.holder()
    if holder is not None and holder.mode == "rootless":
        environment["PATH"] = path_inside(environment.get("PATH"))
    return environment


def check_name(name: str) -> None:
    """Raise ``LabError`` for a name that could not be a log file's, or a word to type."""
    if not _NAME.fullmatch(name):
        raise LabError(
            f'"{name}" cannot be the name of a program',
            hint="letters, digits, `_`, `-` and `.`, and a letter or digit first; set it with --name",
        )
