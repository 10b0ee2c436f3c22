import pytest
import yaml

from labctl.errors import LabError, LabErrors
from labctl.topology import tree as module
from labctl.topology.load import parse_topology
from labctl.topology.problems import Problems
from labctl.topology.tree import Value, read_tree
from tests.topology.lab_files import errors_of, only_error, problems_of, topology_of, two_hosts


def read(text: str) -> Value:
    return read_tree(text, Problems("lab.yaml", rendered=False))


def said_about(text: str) -> list[tuple[str, str]]:
    problems = Problems("lab.yaml", rendered=False)
    with pytest.raises(LabErrors) as raised:  # noqa: PT012 (some problems stop the reading, some do not)
        read_tree(text, problems)
        problems.raise_all()
    return [(str(error), error.hint) for error in raised.value.problems]


def test_words_stay_the_words_that_were_written() -> None:
    text = "{no: on, mac: 10:20:30:40:50:59, a: 010, b: 1.10, c: 0x1F, d: 2001-01-01, e: =}"

    assert read(text) == {
        "no": "on",
        "mac": "10:20:30:40:50:59",
        "a": "010",
        "b": "1.10",
        "c": "0x1F",
        "d": "2001-01-01",
        "e": "=",
    }


def test_null_is_nothing_and_quoted_null_is_a_word() -> None:
    assert read("{a: null, b: ~, c: , d: 'null', e: \"~\"}") == {
        "a": None,
        "b": None,
        "c": None,
        "d": "null",
        "e": "~",
    }


def test_every_value_knows_its_line() -> None:
    problems = Problems("lab.yaml", rendered=False)
    read_tree("a:\n  b:\n    - x\n    - y: 1\nc: |\n  text\n", problems)

    assert problems.line(("a",)) == 1
    assert problems.line(("a", "b")) == 2
    assert problems.line(("a", "b", 0)) == 3
    assert problems.line(("a", "b", 1, "y")) == 4
    assert problems.line(("a", "b", 7)) == 2
    assert problems.line(("c",)) == 5


def test_a_key_that_stands_twice_is_refused_with_both_lines() -> None:
    assert said_about("a: 1\nb: 2\na: 3\n") == [
        (
            'lab.yaml:3: "a" stands here again, after line 1',
            "join the two, or give one another name",
        )
    ]


def test_an_empty_file_says_what_to_write() -> None:
    for text in ("", "# only a comment\n", "---\n", "null\n"):
        assert problems_of(text) == ["lab.yaml:1: the file is empty"]
    assert only_error("").hint == "start with `name:`, `nodes:` and `links:`"


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("a: b: c", "mapping values are not allowed", 'put quotes around a value that has ": "'),
        ("a: 1\n\tb: 2", "tab character", "indent with spaces, not tabs"),
        ("\ta: 1", "cannot start any token", "indent with spaces, not tabs"),
        ("a: [1, 2", "did not find expected", "look for a bracket"),
        ("a: 'x", "found unexpected end of stream", "look for a quote"),
        ("a: {% if x %}", "cannot start any token", "a file with {{ }} or {% %} in it"),
    ],
)
def test_what_is_not_yaml_is_refused_with_a_hint(text: str, said: str, hint: str) -> None:
    error = only_error(text)

    assert said in error.problem
    assert error.hint.startswith(hint)
    assert error.where in ("lab.yaml:1", "lab.yaml:2")


def test_a_template_without_its_ending_is_recognized() -> None:
    assert ".yaml.j2" in only_error("name: {{ name }}\n").hint


def test_a_control_character_is_refused_with_its_line() -> None:
    assert said_about("a: 1\nb: \x00\n") == [
        (
            "lab.yaml:2: the character U+0000 does not belong in a YAML file",
            "remove it; an editor may not show it",
        )
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x 1\nb: *x", 'lab.yaml:2: "*x" refers to a value elsewhere'),
        ("a: !!int 3", "lab.yaml:1: lab files have no tags"),
        ("a: 1\n---\nb: 2", "lab.yaml:2: a second document starts here"),
        ("? [a]\n: b", "lab.yaml:1: a key must be a word"),
        ("[" * 30 + "]" * 30, "lab.yaml:1: values are nested more than 20 deep"),
    ],
)
def test_what_lab_files_do_not_need_is_refused(text: str, said: str) -> None:
    [(problem, _)] = said_about(text)

    assert problem.startswith(said)


def test_a_file_that_is_not_utf8_is_refused_with_its_line() -> None:
    with pytest.raises(LabError) as raised:
        parse_topology(b"name: x\n# caf\xe9\n", "lab.yaml", {})

    assert str(raised.value) == "lab.yaml:2: the lab file is not UTF-8 text"


def test_the_loader_without_libyaml_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = two_hosts("ipv4: 10.0.0.0/24")
    with_libyaml = topology_of(text)
    broken = two_hosts("ipv4: 10.0.0.0/33, foo: 1") + "name: again\n"
    said = [str(error) for error in errors_of(broken)]

    monkeypatch.setattr(module, "_LOADER", yaml.BaseLoader)

    assert topology_of(text) == with_libyaml
    assert [str(error) for error in errors_of(broken)] == said
