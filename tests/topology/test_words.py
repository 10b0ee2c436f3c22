"""Words in errors."""

import pytest

from labctl.topology.words import is_name, listed, nearest, quoted, suggestion


@pytest.mark.parametrize("name", ["a", "client1", "r-1.x_y", "9", "a" * 40])
def test_names_that_may_be_used(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a/b", "ä", "a" * 41, "a\n"])
def test_names_that_may_not(name: str) -> None:
    assert not is_name(name)


def test_a_quoted_word_cannot_command_the_terminal() -> None:
    assert quoted("a\x1b[31mb") == '"a\\x1b[31mb"'


def test_a_long_word_is_cut() -> None:
    assert len(quoted("x" * 1000)) < 70


def test_the_nearest_word_ignores_capitals() -> None:
    assert nearest("SERVRE", ["client", "server"]) == "server"
    assert nearest("zebra", ["client", "server"]) == ""


def test_without_a_near_word_the_known_ones_are_listed() -> None:
    assert suggestion("zebra", ["client", "server"]) == "known: client, server"
    assert suggestion("sever", ["client", "server"]) == 'did you mean "server"?'


def test_a_long_list_is_counted() -> None:
    assert listed(str(n) for n in range(20)).endswith("and 8 more")
