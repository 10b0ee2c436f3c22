import os
import select
import time
from collections.abc import Iterator

import pytest

from labctl.kernel.timer import Timer
from tests.limits import LIMIT_S


@pytest.fixture
def timer() -> Iterator[Timer]:
    timer = Timer()
    yield timer
    os.close(timer.fileno())


def is_readable(timer: Timer, within_s: float) -> bool:
    return bool(select.select([timer.fileno()], [], [], within_s)[0])


def test_it_is_readable_not_before_its_moment(timer: Timer) -> None:
    moment_ns = time.monotonic_ns() + 20_000_000
    timer.set(moment_ns)

    assert is_readable(timer, LIMIT_S)
    assert time.monotonic_ns() >= moment_ns


def test_a_moment_that_has_passed_is_now(timer: Timer) -> None:
    timer.set(1)

    assert is_readable(timer, LIMIT_S)


def test_once_acknowledged_it_is_not_readable_any_more(timer: Timer) -> None:
    timer.set(1)
    assert is_readable(timer, LIMIT_S)

    timer.acknowledge()

    assert not is_readable(timer, 0)
    timer.acknowledge()  # nothing to take note of, and it does not block


def test_a_later_moment_takes_the_place_of_the_first(timer: Timer) -> None:
    timer.set(1)
    assert is_readable(timer, LIMIT_S)
    timer.set(time.monotonic_ns() + 60_000_000_000)

    assert not is_readable(timer, 0)


def test_zero_is_never(timer: Timer) -> None:
    timer.set(time.monotonic_ns() + 50_000_000)
    timer.set(0)

    assert not is_readable(timer, 0.1)


def test_a_moment_that_cannot_be_is_an_error(timer: Timer) -> None:
    with pytest.raises(OSError, match="timerfd_settime"):
        timer.set(-2_000_000_000)
