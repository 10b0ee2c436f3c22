import signal
import threading

import pytest

from labctl.kernel.interrupts import uninterrupted


def test_an_interrupt_is_heard_afterwards() -> None:
    done = []

    def interrupt_oneself() -> None:
        with uninterrupted():
            # To this thread: a runner of tests may have another one, which blocks nothing.
            signal.raise_signal(signal.SIGINT)
            done.append("to the end")

    with pytest.raises(KeyboardInterrupt):
        interrupt_oneself()
    assert done == ["to the end"]


def test_signals_that_were_blocked_stay_so() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        with uninterrupted() as before:
            assert before == {signal.SIGHUP}
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == {signal.SIGHUP}
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


def test_threads_that_start_meanwhile_are_left_alone() -> None:
    masks: list[set[signal.Signals | int]] = []
    with uninterrupted():
        thread = threading.Thread(
            target=lambda: masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        )
        thread.start()
    thread.join()

    assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} <= masks[0]
