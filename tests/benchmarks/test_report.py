import re

import pytest

from benchmarks.bench import Row
from benchmarks.contenders import HERE
from benchmarks.measure import Budget, Comparison
from benchmarks.report import (
    BEGIN,
    END,
    Result,
    as_json,
    machine,
    readme_section,
    table,
    with_section,
)
from benchmarks.rows import ROWS
from labctl.errors import LabError

MEASURED = Comparison(
    Budget("labctl down", {"teardown in C": 2, "interpreter start": 1}, 1),
    {
        "labctl down": [24.0] * 6,
        "teardown in C": [1.0] * 6,
        "interpreter start": [10.0] * 6,
    },
)


def row(title: str) -> Row:
    return Row("key", title, lambda bench: MEASURED, 6)


def test_the_table_shows_medians_ratio_budget_and_verdict() -> None:
    assert list(table([Result(row("labctl down"), MEASURED)])) == [
        "| what (rounds)   | labctl         | against                               "
        "|                | ratio             | budget |      |",
        "| --------------- | -------------- | ------------------------------------- "
        "| -------------- | ----------------- | ------ | ---- |",
        "| labctl down (6) | 24.0 (24.0) ms | 2 x teardown in C + interpreter start "
        "| 12.0 (12.0) ms | 2.00 [2.00, 2.00] | 1      | over |",
    ]


def test_what_could_not_be_measured_is_named_below_the_table() -> None:
    lines = list(
        table(
            [
                Result(row("labctl down"), MEASURED),
                Result(row("building"), None, "no C compiler"),
                Result(row("labctl up"), None, "it broke", failed=True),
            ]
        )
    )
    assert lines[3:] == ["", "* left out: building: no C compiler", "* failed: labctl up: it broke"]


def test_json_has_every_sample() -> None:
    rows = as_json([Result(row("labctl down"), MEASURED), Result(row("x"), None, "why")])["rows"]
    assert isinstance(rows, list)
    assert rows[0]["contenders"]["teardown in C"] == {
        "median_ms": 1.0,
        "min_ms": 1.0,
        "ms": [1.0] * 6,
    }
    assert rows[0]["interval"] == (2.0, 2.0)
    assert rows[1] == {"row": "key", "title": "x", "left_out": "why"}


def test_the_machine_is_described_without_its_name() -> None:
    facts = machine()
    assert re.fullmatch(r"\d+ x .+", facts["processor"])
    assert re.fullmatch(r"Linux \d+\.\d+[0-9.]*", facts["kernel"])


def test_only_what_is_between_the_markers_is_replaced() -> None:
    section = readme_section([Result(row("labctl down"), MEASURED)])
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    written = with_section(text, section)
    assert written.startswith(f"before\n{BEGIN}\n")
    assert written.endswith(f"\n{END}\nafter\n")
    assert "old" not in written
    assert "| labctl down (6) |" in written
    assert with_section(written, section) == written


def test_a_readme_without_markers_is_left_alone() -> None:
    with pytest.raises(LabError, match="no place for results"):
        with_section(f"before\n{BEGIN}\nno end\n", "section")


def test_the_readme_has_a_place_for_results_and_names_every_row() -> None:
    text = (HERE / "README.md").read_text()
    with_section(text, "")
    assert [row.key for row in ROWS if f"`{row.key}`" not in text] == []
