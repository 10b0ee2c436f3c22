import pytest

from labctl.errors import LabError
from labctl.topology.load import parse_topology
from labctl.topology.template import Parameter, template_parameters
from tests.topology.lab_files import errors_of, only_error, topology_of

NUMBERED = """\
{% set clients = clients | default(3) %}
name: x
nodes:
{% for i in range(clients) %}
  c{{ i }}: {}
{% endfor %}
"""


def test_a_parameter_has_its_default_unless_it_is_given() -> None:
    assert len(topology_of(NUMBERED, {}).nodes) == 3
    assert len(topology_of(NUMBERED, {"clients": "5"}).nodes) == 5


def test_parameters_and_their_defaults_can_be_listed() -> None:
    text = "{% set n = n | default(2) %}{{ n }}{{ word }}{% if x is defined %}{{ x }}{% endif %}"

    assert template_parameters(text, "lab.yaml.j2") == [
        Parameter("n", 2, required=False),
        Parameter("word", None, required=True),
        Parameter("x", None, required=False),
    ]


def test_an_unknown_parameter_comes_with_the_nearest_one() -> None:
    error = only_error(NUMBERED, {"cleints": "5"})

    assert str(error) == '-p cleints=5: the lab has no parameter "cleints"'
    assert error.hint == 'did you mean "clients"?'


def test_every_missing_parameter_is_named_with_its_option() -> None:
    errors = errors_of("name: {{ a }}\nnodes: [{{ b }}]\n", {})

    assert [error.hint for error in errors] == ["add -p a=VALUE", "add -p b=VALUE"]


def test_a_parameter_is_of_the_type_of_its_default() -> None:
    error = only_error(NUMBERED, {"clients": "many"})

    assert error.problem == 'the parameter "clients" is a number, not "many"'
    assert error.hint == "its default is 3"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("5", "int"),
        ("-5", "int"),
        ("007", "str"),
        ("1.5", "float"),
        ("true", "bool"),
        ("True", "str"),
        ("1e5", "str"),
        ("9" * 5000, "str"),
    ],
)
def test_values_that_look_like_numbers_and_truths_are_such(given: str, shown: str) -> None:
    kinds = "{% if v is boolean %}bool{% elif v is integer %}int{% elif v is float %}float{% else %}str{% endif %}"
    topology = topology_of(f"name: {kinds}\nnodes: [a]\n", {"v": given})

    assert topology.name == shown


def test_a_parameter_with_a_word_as_default_takes_digits_as_a_word() -> None:
    text = (
        "{% set v = v | default('a') %}\nname: {{ 'word' if v is string else 'no' }}\nnodes: [a]\n"
    )

    assert topology_of(text, {"v": "007"}).name == "word"


def test_a_plain_file_takes_no_parameters() -> None:
    with pytest.raises(LabError, match="the lab has no parameter") as raised:
        parse_topology(b"name: x\nnodes: [a]\n", "lab.yaml", {"clients": "5"})

    assert raised.value.hint == "only templates, whose names end in .yaml.j2, take parameters"


def test_an_error_in_what_was_rendered_says_so() -> None:
    error = only_error("{# two\nlines #}\nname: x\nnodes: [a]\nfoo: 1\n", {})

    assert error.where == "lab.yaml.j2:4 (rendered)"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("\n{% if %}", 2, "the template cannot be read"),
        ("\n{{ 1 | nothing }}", 2, "the template cannot be read: no filter named 'nothing'"),
        ("\n\n{{ 1 / 0 }}", 3, "the template fails: division by zero"),
        ("{% set a = 1 %}\n{{ a.b }}", 2, "the template fails: 'int object' has no attribute 'b'"),
        ("\n{% include 'x' %}", 2, "the template refers to another file"),
        ("\n{% import 'x' as x %}", 2, "the template refers to another file"),
        ("\n{% extends 'x' %}", 2, "the template refers to another file"),
        ("{{ ''.__class__.__mro__ }}", 1, "the template fails: access to attribute '__class__'"),
        ("{{ range(10 ** 9) }}", 1, "the template fails: its loops run more than"),
        ("{{ 'a' * 10 ** 9 }}", 1, "the template fails: the operator * is for small numbers"),
        ("{{ 9 ** 999 }}", 1, "the template fails: the operator ** is for small numbers"),
        (
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            1,
            "the template fails: it calls itself",
        ),
        ("{{ " + "(" * 5000 + ")" * 5000 + " }}", 1, "the template is nested too deep"),
    ],
)
def test_a_template_that_fails_names_its_own_line(text: str, line: int, said: str) -> None:
    error = only_error(text, {})

    assert error.problem.startswith(said)
    assert error.where == f"lab.yaml.j2:{line}"


def test_loops_inside_loops_end() -> None:
    text = "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}"

    assert "its loops run more than 200000 times" in only_error(text, {}).problem


def test_a_template_that_writes_without_end_is_stopped() -> None:
    text = "{% for a in range(90000) %}{{ 'x' | center(100) }}{% endfor %}"

    assert "grows beyond 4000000 characters" in only_error(text, {}).problem


def test_too_many_nodes_are_refused() -> None:
    error = only_error(NUMBERED, {"clients": "4097"})

    assert error.problem == "the lab has 4097 nodes, and at most 4096 can be built"
