import pytest

from labctl.topology.units import duration_s, whole_number


@pytest.mark.parametrize(
    ("text", "seconds"), [("5", 5.0), ("5s", 5.0), ("0.5", 0.5), ("500ms", 0.5), ("2 min", 120.0)]
)
def test_a_duration_is_seconds_unless_it_has_a_unit(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1", "1h", "1e3", "5 5", "٣", "1_000", "inf"])
def test_anything_else_is_no_duration(text: str) -> None:
    assert duration_s(text) is None


def test_a_whole_number_is_decimal_digits() -> None:
    assert whole_number("1500") == 1500
    for text in ("", "-1", "1_500", "0x5", "1.5", "٣", "9" * 10):
        assert whole_number(text) is None
