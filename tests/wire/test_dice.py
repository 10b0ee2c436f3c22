import pytest

from labctl.wire.dice import dice, key_of
from tests.wire.bounds import assert_distribution, assert_rate


def test_the_same_question_has_the_same_answer() -> None:
    assert dice(key_of(7, "drop"), 3) == dice(key_of(7, "drop"), 3)


def test_the_numbers_are_the_same_on_every_machine_and_in_every_version() -> None:
    assert [round(dice(key_of(7, "a->b drop"), nth), 9) for nth in (1, 2, 3)] == [
        0.239003309,
        0.700222509,
        0.230835679,
    ]


def test_seed_name_number_and_throw_all_matter() -> None:
    start = key_of(7, "drop")

    assert (
        len(
            {
                dice(start, 1),
                dice(start, 2),
                dice(start, 1, 1),
                dice(start, 2, 1),
                dice(key_of(8, "drop"), 1),
                dice(key_of(7, "drops"), 1),
                dice(key_of(-7, "drop"), 1),
            }
        )
        == 7
    )


@pytest.mark.slow
def test_the_numbers_spread_evenly_from_0_to_1() -> None:
    throws = [dice(key_of(seed, "x"), nth) for seed in range(10) for nth in range(2000)]

    assert_distribution(throws, lambda value: value)


@pytest.mark.slow
def test_neighbours_are_independent() -> None:
    throws = [dice(key_of(7, "x"), nth) for nth in range(20_000)]
    pairs = zip(throws[::2], throws[1::2], strict=True)

    assert_rate(sum(one < 0.5 and other < 0.5 for one, other in pairs), 10_000, 0.25)
