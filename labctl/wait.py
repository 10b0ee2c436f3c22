"""Waiting for a condition with a deadline: the only place in the code base that sleeps."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

_PAUSE_S = 0.005
_LONGEST_PAUSE_S = 0.05


def until(condition: Callable[[], T | None], within_s: float) -> T | None:
    """Call ``condition`` until it returns something true, and return that.

    Returns ``None`` where it has not by the deadline. It is called once more at the deadline, so
    that a slow machine does not turn a condition that holds into one that does not.
    """
    started = time.monotonic()
    while True:
        waited_s = time.monotonic() - started
        late = waited_s >= within_s
        result = condition()
        if result:
            return result
        if late:
            return None
        # What has taken long already may take a twentieth longer: looking costs time, too.
        time.sleep(min(max(_PAUSE_S, waited_s / 20), _LONGEST_PAUSE_S))
