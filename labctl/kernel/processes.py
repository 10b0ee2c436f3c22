"""The processes of a lab's programs as the host sees them: who they are, what they use, stopping them.

A program is known by the pid of its lab's holder on the host and its own pid in the lab, as
``ProgramStatus`` has it. All else comes from the host's /proc (proc(5)).
"""

import os
import signal
import time
from collections.abc import Callable, Iterable

from labctl.errors import machine_error
from labctl.wait import until

STOPPED_WITHIN_S = 10.0
KILLED_WITHIN_S = 10.0

_STOPPED = "TtZX"
_MOST_READINGS = 20
"""Of a list of children. More are of no use where processes end all the time."""


def host_pid(holder_pid: int, pid_in_lab: int) -> int | None:
    """Return the host's number of a program's process; ``None`` where it has ended."""
    level = len(_numbers(holder_pid)) - 1
    for pid in children(holder_pid):
        numbers = _numbers(pid)
        if len(numbers) > level >= 0 and numbers[level] == pid_in_lab:
            return pid
    return None


def program_pids(
    holder_pid: int, pid_in_lab: int, *, is_sandboxed: bool = False, at_most: int = 0
) -> list[int]:
    """Return the host's numbers of a program's own processes, the program itself first.

    Those of the sandbox do not count: the process that waits outside, and the one inside that is
    pid 1 there. Nothing is returned while the sandbox is still being made. With ``at_most`` no
    more are looked for: a program may start them faster than anybody can count.
    """
    first = host_pid(holder_pid, pid_in_lab)
    if first is None:
        return []
    if not is_sandboxed:
        return _tree(first, at_most)
    inner = _sandbox_init(first)
    if inner is None:
        return []
    return _tree(inner, at_most and at_most + 1)[1:]


def children(pid: int) -> list[int]:
    """Return the numbers of a process's children, of all its threads; none where it has gone."""
    # The kernel counts its way through the list (fs/proc/array.c): where one that it has just named
    # ends, it leaves another one out. So a list is whole if all of it is in the next one as well.
    found = _children_named(pid)
    for _ in range(_MOST_READINGS):
        before, found = found, _children_named(pid)
        if set(before) <= set(found):
            break
    return found


def maps_uid(holder_pid: int, uid: int) -> bool:
    """Whether a number is a user in the lab's user namespace, the same one as outside."""
    try:
        with open(f"/proc/{holder_pid}/uid_map") as file:
            ranges = [tuple(map(int, line.split())) for line in file]
    except OSError:
        return False
    return any(inside == outside and 0 <= uid - inside < count for inside, outside, count in ranges)


def resident_bytes(pid: int) -> int:
    """Return the memory that a process has for itself or shares by intent; 0 where it has gone.

    Pages of files do not count. Pages that a child has from its parent count for both of them.
    """
    status = _status(pid)
    return sum(_kib(status.get(key, "0")) for key in ("RssAnon", "RssShmem")) * 1024


def fair_bytes(pid: int) -> int:
    """Return the same with each page divided among those who have it. Takes far longer."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            lines = dict(line.split(":", 1) for line in file if line.startswith("Pss"))
    except OSError:
        return 0
    return sum(_kib(lines.get(key, "0")) for key in ("Pss_Anon", "Pss_Shmem")) * 1024


def threads(pid: int) -> int:
    """Return how many threads a process has; 0 where it has gone."""
    return int(_status(pid).get("Threads", "0"))


def cpu_seconds(pid: int) -> float:
    """Return how long a process, all its threads together, has run on a CPU; 0 where it has gone."""
    try:
        # As clock_getcpuclockid(3) makes it: the pid, upside down, and the kind of the clock.
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0


def state(pid: int) -> str:
    """Return the letter of a process's state, such as ``R``, ``S`` or ``T``; "" where it has gone."""
    return _status(pid).get("State", "")[:1]


def is_asleep(pid: int) -> bool:
    """Whether each thread of a process waits for something (state S), or has ended."""
    return all(letter in "SZ" for letter in _thread_states(pid))


def stop_all(pids: Callable[[], Iterable[int]]) -> None:
    """Stop every process of a program, also those that it starts meanwhile.

    On return none of them runs another instruction until ``continue_all``. Raises ``LabError``
    where they do not stop in time; they go on then.
    """
    told: set[int] = set()

    def all_stopped() -> bool:
        now = list(pids())
        running = [pid for pid in now if pid not in told or not _has_stopped(pid)]
        _signal(running, signal.SIGSTOP, among=pids)
        told.update(running)
        # A process that was running a moment ago may have had a child that is not in the list.
        return not running and list(pids()) == now

    if not until(all_stopped, STOPPED_WITHIN_S):
        continue_all(pids)
        raise machine_error(
            "a program does not stop, though it was told to",
            hint="it may start processes without end, or hang in the kernel",
        )


def continue_all(pids: Callable[[], Iterable[int]]) -> None:
    """Let the processes of a stopped program go on."""
    _signal(pids(), signal.SIGCONT, among=pids)


def kill_program(holder_pid: int, pid_in_lab: int) -> None:
    """Kill a program with all that it started and, where it has one, its sandbox.

    Raises ``LabError`` where it is still there after a while.
    """

    def outermost_first() -> list[int]:
        first = host_pid(holder_pid, pid_in_lab)
        if first is None or state(first) in ("", "Z"):
            return []
        inner = _sandbox_init(first)
        # The kernel ends what is in a sandbox's namespace, however fast that starts more.
        return _tree(first) if inner is None else [first, inner]

    def all_gone() -> bool:
        # The children first: those of a parent that has ended are the holder's, and nobody's then.
        pids = outermost_first()[::-1]
        _signal(pids, signal.SIGKILL, among=outermost_first)
        return not pids

    if not until(all_gone, KILLED_WITHIN_S):
        raise machine_error(
            "a program does not end after SIGKILL", hint="is the machine overloaded?"
        )


def _signal(
    pids: Iterable[int], number: signal.Signals, *, among: Callable[[], Iterable[int]]
) -> None:
    """Send a signal to processes, if they still are ``among`` those that may get it.

    That is asked once they are held: by now a number may be that of another process.
    """
    held = {}
    for pid in pids:
        try:
            held[pid] = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
    try:
        allowed = set(among()) if held else set()
        for pid, pidfd in held.items():
            if pid in allowed:
                try:
                    signal.pidfd_send_signal(pidfd, number)
                except ProcessLookupError:
                    continue
    finally:
        for pidfd in held.values():
            os.close(pidfd)


def _sandbox_init(outer: int) -> int | None:
    level = len(_numbers(outer))
    for pid in children(outer):
        numbers = _numbers(pid)
        # One namespace deeper, and the first there.
        if len(numbers) == level + 1 and numbers[-1] == 1:
            return pid
    return None


def _tree(root: int, at_most: int = 0) -> list[int]:
    """Return a process and its descendants, parents before children."""
    found = {root: None}
    unseen = [root]
    while unseen and not (at_most and len(found) >= at_most):
        unseen = [child for pid in unseen for child in children(pid) if child not in found]
        found.update(dict.fromkeys(unseen))
    return list(found)[: at_most or None]


def _children_named(pid: int) -> list[int]:
    named: list[int] = []
    try:
        threads_of_it = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return named
    for thread in sorted(threads_of_it, key=int):
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as file:
                named += map(int, file.read().split())
        except OSError:
            continue  # the thread has ended
    return named


def _has_stopped(pid: int) -> bool:
    """Whether none of a process's threads runs."""
    # A parent in vfork(2) cannot stop; it waits for its child, and the child is stopped.
    return all(
        letter in _STOPPED or (letter == "D" and children(pid)) for letter in _thread_states(pid)
    )


def _thread_states(pid: int) -> list[str]:
    """Return the letters of a process's threads, without those that have ended."""
    try:
        names = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    return [letter for name in names if (letter := _thread_state(pid, name))]


def _thread_state(pid: int, thread: str) -> str:
    try:
        with open(f"/proc/{pid}/task/{thread}/stat", "rb", buffering=0) as file:
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    # The name in field 2 may hold spaces and parentheses; the last one ends it.
    return text[text.rindex(")") + 2 :][:1]


def _numbers(pid: int) -> list[int]:
    """Return what a process is called in each pid namespace, the reader's own first."""
    return [int(word) for word in _status(pid).get("NSpid", "").split()]


def _status(pid: int) -> dict[str, str]:
    try:
        with open(f"/proc/{pid}/status", "rb", buffering=0) as file:
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return {}
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _kib(text: str) -> int:
    return int(text.split()[0])
