from labctl.topology.rules import Rule
from tests.topology.lab_files import errors_of, problems_of, topology_of, two_hosts

RULES = """\
rules:
  seed: 7
  client->server:
    - drop: {match: "udp port 8080", packets: [3, 5]}
  server -> client:
    - duplicate: {every: 10}
"""


def test_rules_come_to_the_end_that_sends() -> None:
    topology = topology_of(two_hosts(more=RULES))
    [link] = topology.links

    drop = Rule("drop", "udp port 8080", ((3, 3), (5, 5)), where="lab.yaml:9")
    assert link.left.rules == (drop,)
    assert link.right.rules == (Rule("duplicate", every=10, where="lab.yaml:11"),)
    assert topology.seed == 7


def test_without_a_seed_choices_need_not_repeat() -> None:
    topology = topology_of(two_hosts(more="rules: {client->server: [{drop: {p: 10%}}]}\n"))
    assert topology.seed is None


def test_all_that_is_wrong_is_said_at_once_in_the_order_of_the_file() -> None:
    text = two_hosts("mtu: 3") + (
        "rules:\n"
        "  seed: x\n"
        "  client->sever: [{drop: }]\n"
        "  server->client:\n"
        "    - drop: {packets: [0]}\n"
        "  client: []\n"
        "colour: red\n"
    )
    problems = problems_of(text)
    assert [problem.partition(": ")[0] for problem in problems] == [
        "lab.yaml:5",
        "lab.yaml:7",
        "lab.yaml:8",
        "lab.yaml:10",
        "lab.yaml:11",
        "lab.yaml:11",
        "lab.yaml:12",
    ]
    assert 'there is no node "sever"' in problems[2]


def test_the_same_direction_twice_is_refused() -> None:
    more = "rules:\n  client->server: [{drop: }]\n  client:eth0->server: [{drop: }]\n"
    [problem] = problems_of(two_hosts(more=more))
    assert problem.startswith("lab.yaml:8: ")
    assert "is the same direction as" in problem


def test_nothing_is_concluded_where_a_link_is_lost_to_another_problem() -> None:
    text = (
        "name: lab\nnodes: [a, b, c]\nlinks:\n  - {endpoints: [a, x]}\nrules: {a->b: [{drop: }]}\n"
    )
    assert [error.where for error in errors_of(text)] == ["lab.yaml:4"]


def test_rules_must_be_a_mapping() -> None:
    for written in ("", "7", "[drop]"):
        [problem] = problems_of(two_hosts(more=f"rules: {written}\n"))
        assert problem == "lab.yaml:6: rules must be a mapping"
