import pytest

from labctl.grading.unmet import Unmet, expect, expect_equal, shown, unmet


def test_a_condition_that_holds_is_passed_over() -> None:
    expect([1], expected="something", actual="nothing")
    expect_equal(3, 3, "the number")


def test_what_does_not_hold_says_what_was_expected_and_what_was_there() -> None:
    with pytest.raises(Unmet) as raised:
        expect([], expected="an answer", actual="none", hint="ask again")

    assert (raised.value.expected, raised.value.actual) == ("an answer", "none")
    assert raised.value.hint == "ask again"


def test_values_that_differ_are_both_shown_with_their_name() -> None:
    with pytest.raises(Unmet) as raised:
        expect_equal(b"\0A", b"B", "the answer", "count again")

    assert raised.value.expected == "the answer: 'B'"
    assert raised.value.actual == "the answer: '\\x00A'"
    assert raised.value.hint == "count again"


def test_long_bytes_are_shown_where_they_differ() -> None:
    with pytest.raises(Unmet) as raised:
        expect_equal(b"a" * 200 + b"XY", b"a" * 200 + b"Y", "the answer")

    assert raised.value.expected == f"the answer: '{'a' * 16}Y' from byte 184 on"
    assert raised.value.actual == f"the answer: '{'a' * 16}XY' from byte 184 on"

    with pytest.raises(Unmet) as raised:
        expect_equal(b"a" * 201, b"a" * 200, "the answer")

    assert raised.value.expected == f"the answer: '{'a' * 16}' from byte 184 on"
    assert raised.value.actual == f"the answer: '{'a' * 17}' from byte 184 on"


def test_unmet_says_it_without_a_condition() -> None:
    with pytest.raises(Unmet, match="expected: silence; actual: noise"):
        unmet("silence", "noise")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"hi\n", "'hi\\n'"),
        (b"a" * 70, f"'{'a' * 64}' and 6 more bytes"),
        ("as it is", "as it is"),
        (12, "12"),
        (None, "None"),
    ],
)
def test_values_are_shown_for_people(value: object, text: str) -> None:
    assert shown(value) == text
