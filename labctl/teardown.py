"""The end of a lab: on purpose, or clearing up after a crash."""

import os

from labctl.errors import LabError, machine_error
from labctl.kernel.ending import end_holder, wake_joiners
from labctl.kernel.state import LabState, all_labs, wait_ended
from labctl.wait import until

END_WITHIN_S = 30.0
"""How long the kernel may take to end every process of a lab."""

LOCK_WITHIN_S = 5.0
"""How long another labctl may take to be done with a lab that has no holder."""


def down(name: str) -> bool:
    """Take a lab down; return whether there was one. Whatever a crash left of it goes too.

    Raises ``LabError`` (exit code 3) where the kernel does not end its processes in time.
    """
    state = LabState(name)
    if not state.exists():
        return False

    def end_and_lock() -> int | None:
        # Each time anew: a lab that is being built may have had no holder a moment ago.
        _end(state)
        return state.acquire(create=False)

    try:
        # A launcher whose holder has just been killed under it clears up by itself.
        lock = until(end_and_lock, LOCK_WITHIN_S)
    except FileNotFoundError:
        return True
    if lock is None:
        raise busy(name)
    wake_joiners(state)
    clear(state, lock)
    return True


def _end(state: LabState) -> None:
    opened = state.open_holder()
    if opened is None:
        return
    _, pidfd = opened
    claims = state.read("claims") or ""
    end_holder(pidfd)
    # The names are taken away while the kernel still ends the processes.
    state.remove_names(claims)
    wake_joiners(state)
    has_ended = wait_ended(pidfd, END_WITHIN_S)
    os.close(pidfd)
    if not has_ended:
        raise machine_error(
            f'the processes of "{state.name}" do not end',
            hint="one of them may hang in the kernel (state D in `ps`); try again later",
        )


def busy(name: str) -> LabError:
    """Return the error for a lab that has no holder, and that another labctl does not let go."""
    return machine_error(
        f'the lab "{name}" is being built or taken down by another labctl',
        hint="wait for it (if it was stopped by Ctrl-Z: `fg`), then try again",
    )


def collect_garbage() -> list[str]:
    """Remove what crashed labs and checks left; return the names of the labs, and the folders.

    A lab that lives is not touched.
    """
    # Not at the top: `down` has no time for what it imports.
    from labctl.kernel.scratch import remove_abandoned

    removed = []
    for state in all_labs():
        try:
            lock = state.acquire(create=False)
        except FileNotFoundError:
            continue
        if lock is None:
            continue
        wake_joiners(state)
        clear(state, lock)
        removed.append(state.name)
    return removed + remove_abandoned()


def clear(state: LabState, lock: int) -> None:
    """Remove everything of a lab that has no holder any more. Takes the lock with it."""
    state.remove_names()
    state.remove()
    os.close(lock)
