from itertools import pairwise

import pytest

from labctl.observe.ladder_rows import Row, fold, size_text


def plain(number: int, *, source: str = "a", data_bytes: int = 10) -> Row:
    target = "b" if source == "a" else "a"
    return Row(
        number, source, target, f"n{number}", unit="segment", data_bytes=data_bytes, is_plain=True
    )


def lost(number: int) -> Row:
    return Row(number, "a", "b", f"n{number}", "lost", "lost", unit="datagram", data_bytes=3)


def labels(rows: list[Row]) -> list[str]:
    return [row.label for row in rows]


def test_few_rows_stay_as_they_are() -> None:
    rows = [plain(number) for number in range(40)]

    assert fold(rows) == rows


def test_the_middle_of_a_long_run_is_counted() -> None:
    rows = [lost(0), *(plain(number) for number in range(1, 101)), lost(101)]

    folded = fold(rows)

    assert labels(folded) == [
        "n0",
        "n1",
        "n2",
        "n3",
        "… 94 segments, 940 bytes …",
        "n98",
        "n99",
        "n100",
        "n101",
    ]
    assert folded[4][:3] == (4, "a", "b")


def test_acknowledgements_in_between_are_not_counted() -> None:
    rows = [plain(n) if n % 2 else plain(n, source="b", data_bytes=0) for n in range(100)]

    assert fold(rows)[3][:4] == (3, "a", "b", "… 47 segments, 470 bytes …")


def test_a_run_in_both_directions_has_no_arrow() -> None:
    rows = [plain(n, source="ab"[n % 2]) for n in range(100)]

    assert fold(rows)[3][:4] == (3, "", "", "… 94 segments, 940 bytes …")


def test_what_cannot_be_folded_loses_its_middle() -> None:
    folded = fold([lost(number) for number in range(200)])

    assert len(folded) == 40
    assert labels(folded)[18:21] == ["n18", "… 161 datagrams, 483 bytes, 161 lost …", "n180"]


def test_what_was_folded_counts_when_the_middle_is_left_out() -> None:
    rows = [*map(lost, range(30)), *(plain(n) for n in range(30, 130)), *map(lost, range(130, 160))]

    [total] = [label for label in labels(fold(rows)) if label.startswith("…")]
    assert total == "… 121 packets, 1.0 KiB, 21 lost …"


@pytest.mark.parametrize("before", range(10, 30))
def test_two_counts_never_follow_each_other(before: int) -> None:
    rows = [*map(lost, range(before)), *map(plain, range(50)), *map(lost, range(60))]
    for each in (rows, rows[::-1]):
        counted = [label.startswith("…") for label in labels(fold(each))]
        assert any(counted)
        assert (True, True) not in pairwise(counted)


def test_what_was_sent_again_is_counted() -> None:
    rows = [lost(number)._replace(note="retransmission, lost") for number in range(200)]

    assert "161 sent again" in labels(fold(rows))[19]


@pytest.mark.parametrize("rows_in_all", [41, 42, 47, 100])
@pytest.mark.parametrize("every", [1, 2, 3, 8, 9, 50])
def test_there_are_never_more_rows_than_wanted(rows_in_all: int, every: int) -> None:
    rows = [plain(n) if n % every else lost(n) for n in range(rows_in_all)]

    folded = fold(rows)

    assert 1 < len(folded) <= 40
    assert (folded[0], folded[-1]) == (rows[0], rows[-1])


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (1 << 20, "1.0 MiB"),
        (5 << 30, "5.0 GiB"),
    ],
)
def test_sizes_are_short(size: int, text: str) -> None:
    assert size_text(size) == text
