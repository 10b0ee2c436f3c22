import pytest

from tests.topology.lab_files import only_error, problems_of, two_hosts


def test_an_unknown_key_comes_with_the_nearest_one() -> None:
    error = only_error(two_hosts(client="gatway: 10.0.0.1"))

    assert str(error) == 'lab.yaml:3: unknown key "gatway" in node "client"'
    assert error.hint == 'did you mean "gateway"?'


def test_an_unknown_key_that_is_near_nothing_comes_with_all_keys() -> None:
    error = only_error(two_hosts(more="colour: red\n"))

    assert str(error) == 'lab.yaml:6: unknown key "colour" in the lab'
    assert error.hint == "the keys are: name, nodes, links, programs, rules"


def test_an_unknown_kind_comes_with_the_nearest_one() -> None:
    error = only_error(two_hosts(server="kind: ruoter"))

    assert str(error) == 'lab.yaml:4: node "server" is of the unknown kind "ruoter"'
    assert error.hint == 'did you mean "router"?'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nodes: [a]\n", "lab.yaml:1: the lab has no `name`"),
        ("name: x\n", "lab.yaml:1: the lab has no `nodes`"),
        ("[a, b]\n", "lab.yaml:1: a lab file is a mapping"),
        ("hello\n", "lab.yaml:1: a lab file is a mapping"),
        ("name: [x]\nnodes: [a]\n", "lab.yaml:1: `name` must be one word"),
        ("name:\nnodes: [a]\n", "lab.yaml:1: `name` has no value"),
        ("name: x\nnodes: a\n", "lab.yaml:2: `nodes` must be a mapping of node names"),
        ("name: x\nnodes: [a]\nlinks: 7\n", "lab.yaml:3: `links` must be a list"),
        ("name: x\nnodes: [a]\nlinks:\n  - a\n", "lab.yaml:4: link 1 must be a mapping"),
        ("name: x\nnodes: [a]\nlinks:\n  - {}\n", "lab.yaml:4: link 1 has no `endpoints`"),
        ("name: x\nnodes:\n  a: router\n", 'lab.yaml:3: node "a" must be a mapping'),
        (two_hosts("ipv4: {a: b}"), "lab.yaml:5: `ipv4` of link 1 must be a pair such as"),
        (two_hosts("ipv4: [a, b, c]"), "lab.yaml:5: `ipv4` of link 1 must be a pair such as"),
        (two_hosts("mac: x"), "lab.yaml:5: `mac` of link 1 must be a pair such as"),
        (two_hosts("mtu: [1]"), "lab.yaml:5: `mtu` of link 1 must be a number of bytes"),
        (two_hosts(client="gateway: {}"), 'lab.yaml:3: `gateway` of node "client" must be'),
        (two_hosts(client="gateway: "), 'lab.yaml:3: `gateway` of node "client" has no value'),
        (two_hosts(client="gateway: [[a]]"), 'lab.yaml:3: `gateway` of node "client" must be'),
        (
            two_hosts(client="routes: [{to: x}]"),
            'lab.yaml:3: route 1 of node "client" has no `via`',
        ),
        (two_hosts(client="sysctls: {net.a: [1]}"), 'lab.yaml:3: the setting "net.a" must be'),
        (two_hosts(more="programs: {p: {}}"), 'lab.yaml:6: program "p" has no `command`'),
        (two_hosts(more="programs: {p: ls}"), 'lab.yaml:6: program "p" must be a mapping'),
    ],
)
def test_a_value_of_the_wrong_form_is_refused_in_the_words_of_the_file(
    text: str, said: str
) -> None:
    assert any(problem.startswith(said) for problem in problems_of(text)), problems_of(text)


def test_a_node_may_have_the_name_of_a_key() -> None:
    error = only_error("name: x\nnodes:\n  gateway: 5\n")

    assert str(error) == 'lab.yaml:3: node "gateway" must be a mapping'


def test_a_link_needs_two_ends() -> None:
    text = "name: x\nnodes: [a, b]\nlinks:\n  - endpoints: [a]\n"

    assert str(only_error(text)).startswith(
        "lab.yaml:4: `endpoints` of link 1 must be a list of two"
    )


def test_no_error_speaks_of_python() -> None:
    text = two_hosts("ipv4: {}, mtu: [], mac: 1", client="kind: x, routes: 1, programs: []")

    for problem in problems_of(text):
        for word in ("str", "dict", "tuple", "None", "Input", "Shape", "valid "):
            assert word not in problem
