import pytest

from labctl.topology.model import Program
from tests.topology.lab_files import only_error, problems_of, topology_of, two_hosts


def lab(program: str) -> str:
    return two_hosts(more=f"programs:\n  p: {{{program}}}\n")


def program(text: str) -> Program:
    [only] = topology_of(lab(text)).programs
    return only


def test_a_command_line_is_split_as_a_shell_would() -> None:
    assert program("node: server, command: \"./x 'a b' c\"").command == ("./x", "a b", "c")


def test_a_command_may_be_a_list_of_words() -> None:
    assert program("node: server, command: [./x, 0, 'a b']").command == ("./x", "0", "a b")


def test_a_program_is_ready_at_once_unless_it_says_otherwise() -> None:
    assert program("node: server, command: x") == Program("p", "server", ("x",), "", 5.0)


@pytest.mark.parametrize(
    ("ready", "meant"),
    [
        ("listening udp/8080", "listening udp/8080"),
        (" listening  tcp/080 ", "listening tcp/80"),
        ("log now serving", "log now serving"),
    ],
)
def test_a_condition_is_read(ready: str, meant: str) -> None:
    assert program(f'node: server, command: x, ready: "{ready}"').ready == meant


def test_the_wait_is_in_seconds_or_a_unit() -> None:
    text = "node: server, command: x, ready: log a, ready_within: {}"

    assert program(text.format("2.5")).ready_within_s == 2.5
    assert program(text.format("500ms")).ready_within_s == 0.5


def test_a_program_inside_a_node_runs_there_in_the_order_of_the_file() -> None:
    text = two_hosts(
        server="programs: {first: {command: x}}",
        more="programs: {second: {node: client, command: y}}\n",
    )

    assert [(one.name, one.node) for one in topology_of(text).programs] == [
        ("first", "server"),
        ("second", "client"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("node: sever, command: x", 'program "p" runs in a node that does not exist, "sever"'),
        ("node: server, command: ''", 'program "p" has an empty command'),
        ("node: server, command: []", 'program "p" has an empty command'),
        ('node: server, command: "\'x"', 'a quote is not closed in the command of program "p"'),
        ('node: server, command: "x\\0"', 'the command of program "p" has a NUL in it'),
        ("node: server, command: x, ready: soon", '"soon" is not something to wait for'),
        ("node: server, command: x, ready: listening 80", '"listening 80" is not something'),
        ("node: server, command: x, ready: listening sctp/1", "is not something to wait for"),
        ("node: server, command: x, ready: log", '"log" is not something to wait for'),
        ("node: server, command: x, ready: listening udp/0", "there is no port 0 to listen on"),
        ("node: server, command: x, ready: listening tcp/65536", "there is no port 65536"),
        ("node: server, command: x, ready: log a, ready_within: soon", "cannot be waited for"),
        ("node: server, command: x, ready: log a, ready_within: 0", "cannot be waited for"),
        ("node: server, command: x, ready: log a, ready_within: 3601", "cannot be waited for"),
        ("node: server, command: x, ready_within: 5", "has `ready_within` and nothing to wait for"),
    ],
)
def test_a_program_that_could_not_be_started_is_refused(text: str, said: str) -> None:
    error = only_error(lab(text))

    assert said in error.problem
    assert error.where == "lab.yaml:7"


def test_a_program_name_stands_once_in_a_lab() -> None:
    text = two_hosts(
        server="programs: {p: {command: x}}", more="programs: {p: {node: client, command: y}}\n"
    )

    assert problems_of(text) == [
        'lab.yaml:6: a second program is called "p"; the first is in line 4'
    ]


def test_a_program_name_is_a_name() -> None:
    text = two_hosts(more="programs: {a/b: {node: client, command: y}}\n")

    assert problems_of(text) == ['lab.yaml:6: "a/b" cannot name a program']
