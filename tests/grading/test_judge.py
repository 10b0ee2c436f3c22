"""What a judge reads off a test function; what it does with results is in ``test_run``."""

import pytest

from labctl.grading.judge import name_of, needs_of, title_of

pytest_plugins = ["pytester"]


def _functions(pytester: pytest.Pytester, text: str) -> list[pytest.Function]:
    items = pytester.getitems(text)
    return [item for item in items if isinstance(item, pytest.Function)]


def test_the_title_is_the_docstrings_first_paragraph(pytester: pytest.Pytester) -> None:
    one, two, three = _functions(
        pytester,
        '''
        def test_one():
            """it does
            what it should

            and this is for maintainers
            """
        def test_two_words(): pass
        def test_three():
            """   """
        ''',
    )

    assert title_of(one) == "it does what it should"
    assert title_of(two) == "two words"
    assert title_of(three) == "three"


def test_cases_of_one_check_have_one_name(pytester: pytest.Pytester) -> None:
    items = _functions(
        pytester,
        """
        import pytest
        @pytest.mark.parametrize("n", [1, 2])
        def test_it(n): pass
        """,
    )

    assert [name_of(item) for item in items] == ["test_it", "test_it"]


def test_needs_of_several_marks_add_up(pytester: pytest.Pytester) -> None:
    [item] = _functions(
        pytester,
        """
        import pytest
        @pytest.mark.needs("test_a")
        @pytest.mark.needs("test_b", "test_c")
        def test_d(): pass
        """,
    )

    assert sorted(needs_of(item)) == ["test_a", "test_b", "test_c"]
