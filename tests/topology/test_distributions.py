import statistics
from pathlib import Path
from typing import get_args

import pytest

from labctl.topology.distributions import TABLE_LENGTH, TABLE_SCALE, distribution_table
from labctl.topology.impairment import Distribution

NAMES: list[Distribution] = [name for name in get_args(Distribution) if name != "uniform"]
FOLDERS = [*Path("/usr/lib").glob("*/tc"), Path("/usr/lib/tc"), Path("/usr/share/tc")]


def table(name: Distribution) -> tuple[int, ...]:
    found = distribution_table(name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_table_is_ascending_and_fits_16_bits(name: Distribution) -> None:
    values = table(name)
    assert len(values) == TABLE_LENGTH
    assert list(values) == sorted(values)
    assert values[0] >= -32768
    assert values[-1] <= 32767


def test_uniform_needs_no_table() -> None:
    assert distribution_table("uniform") is None


def test_the_normal_table_has_the_jitter_as_its_deviation() -> None:
    values = table("normal")
    assert abs(statistics.mean(values)) < 1
    assert statistics.pstdev(values) / TABLE_SCALE == pytest.approx(1, abs=0.002)
    assert values[2048] / TABLE_SCALE == pytest.approx(0, abs=0.001)


def test_the_pareto_tables_lean_to_long_delays() -> None:
    for name in ("pareto", "paretonormal"):
        values = table("pareto" if name == "pareto" else "paretonormal")
        assert statistics.median(values) < statistics.mean(values) < 0 < -values[0] < values[-1]


@pytest.mark.parametrize("name", NAMES)
def test_a_table_is_the_one_that_comes_with_tc(name: Distribution) -> None:
    files = [folder / f"{name}.dist" for folder in FOLDERS if (folder / f"{name}.dist").exists()]
    if not files:
        pytest.skip(f"needs {name}.dist (comes with iproute2 on Debian)")
    lines = files[0].read_text().splitlines()
    theirs = sorted(
        int(word) for line in lines if not line.startswith("#") for word in line.split()
    )
    ours = table(name)
    # The two differ in where within its 4096th part an entry is taken; that moves the ends only.
    for share in (0.002, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98):
        mine, other = ours[int(share * len(ours))], theirs[int(share * len(theirs))]
        assert mine == pytest.approx(other, abs=0.02 * TABLE_SCALE)
    assert statistics.mean(ours) == pytest.approx(statistics.mean(theirs), abs=0.005 * TABLE_SCALE)
    assert statistics.pstdev(ours) == pytest.approx(statistics.pstdev(theirs), rel=0.01)
