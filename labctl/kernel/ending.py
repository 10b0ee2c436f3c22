"""Signals that end a lab: to its holder, and to those who joined it."""

import os

from labctl.kernel.state import LabState, open_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from signal import SIGCONT, SIGKILL, pidfd_send_signal
else:
    # `signal` would import `enum`, which takes longer than taking a lab down.
    from _signal import SIGCONT, SIGKILL, pidfd_send_signal


def end_holder(pidfd: int) -> None:
    """Kill a holder, and so every process of its lab."""
    try:
        pidfd_send_signal(pidfd, SIGKILL)
    except ProcessLookupError:
        pass


def wake_joiners(state: LabState) -> None:
    """Continue every stopped labctl that is inside the lab, so that it notices the lab's end."""
    try:
        names = os.listdir(state.file("joiners"))
    except FileNotFoundError:
        return
    for name in names:
        pid, _, start = name.partition(".")
        pidfd = open_process(int(pid), int(start))
        if pidfd is not None:
            try:
                pidfd_send_signal(pidfd, SIGCONT)
                # Its helper may have been stopped with it, at the moment it had a child inside.
                os.killpg(os.getpgid(int(pid)), SIGCONT)
            except ProcessLookupError:
                pass  # it noticed by itself meanwhile
            os.close(pidfd)
