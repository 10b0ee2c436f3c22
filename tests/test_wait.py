from types import SimpleNamespace

import pytest

from labctl.wait import until


def test_what_the_condition_returns_is_returned() -> None:
    assert until(lambda: "ready", within_s=0) == "ready"


def test_the_condition_is_tried_again_until_it_holds() -> None:
    answers = iter([None, "", 0, "at last"])

    assert until(lambda: next(answers), within_s=60) == "at last"


def test_a_condition_that_never_holds_gives_none() -> None:
    assert until(lambda: False, within_s=0.01) is None


def test_a_condition_that_held_too_late_for_the_clock_is_looked_at_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = 100.0
    calls = []

    def condition() -> bool:
        nonlocal now_s
        calls.append(1)
        now_s += 10
        return len(calls) == 2

    clock = SimpleNamespace(monotonic=lambda: now_s, sleep=lambda seconds: None)
    monkeypatch.setattr("labctl.wait.time", clock)

    assert until(condition, within_s=5) is True


def test_what_the_condition_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        until(lambda: 1 // 0, within_s=1)
