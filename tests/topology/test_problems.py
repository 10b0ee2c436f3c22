"""Problems: all of one file, in its order."""

import pytest

from labctl.errors import LabErrors
from labctl.topology.problems import Place, Problems

PLACES = Place(1, 1, {"nodes": Place(3, 2, {"a": Place(5, 4, {})})})


def test_a_problem_stands_at_the_line_of_its_value_or_of_its_key() -> None:
    problems = Problems("lab.yaml", rendered=False, places=PLACES)
    assert problems.line(("nodes", "a")) == 5
    assert problems.line(("nodes", "a"), of_key=True) == 4


def test_a_value_that_was_not_written_stands_where_it_is_missing() -> None:
    problems = Problems("lab.yaml", rendered=False, places=PLACES)
    assert problems.line(("nodes", "a", "gateway")) == 5


def test_problems_come_in_the_order_of_the_file() -> None:
    problems = Problems("lab.yaml", rendered=False, places=PLACES)
    problems.add_at_line(9, "second")
    problems.add(("nodes",), "first", "a hint")
    with pytest.raises(LabErrors) as raised:
        problems.raise_all()
    shown = [(str(error), error.hint) for error in raised.value.problems]
    assert shown == [("lab.yaml:3: first", "a hint"), ("lab.yaml:9: second", "")]


def test_the_lines_of_a_template_are_said_to_be_rendered_ones() -> None:
    assert Problems("a.yaml.j2", rendered=True).where(7) == "a.yaml.j2:7 (rendered)"


def test_a_file_without_problems_passes() -> None:
    Problems("lab.yaml", rendered=False).raise_all()
