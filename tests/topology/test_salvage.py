from tests.topology.lab_files import problems_of, switched, two_hosts, two_wires


def test_a_wrong_key_does_not_hide_a_wrong_address() -> None:
    text = two_hosts("ipv4: [10.0.0.0/24, 10.0.0.2/24]", client="gatway: 10.0.0.2")

    assert [problem.split(": ")[0] for problem in problems_of(text)] == ["lab.yaml:3", "lab.yaml:5"]


def test_a_link_that_lost_its_addresses_does_not_make_the_gateway_wrong() -> None:
    assert problems_of(two_hosts("ip4: 10.0.0.0/24", client="gateway: 10.0.0.2")) == [
        'lab.yaml:5: unknown key "ip4" in link 1'
    ]


def test_a_switch_with_a_misspelt_kind_does_not_make_its_subnets_overlap() -> None:
    text = switched("ipv4: 10.0.0.0/24", "ipv4: 10.0.0.0/24", client="gateway: 10.0.0.2")

    assert problems_of(text.replace("kind: bridge", "kind: brigde")) == [
        'lab.yaml:2: node "switch" is of the unknown kind "brigde"'
    ]


def test_links_under_a_wrong_key_do_not_make_the_gateway_wrong() -> None:
    text = two_hosts("ipv4: 10.0.0.0/24", client="gateway: 10.0.0.2").replace("links:", "link:")

    assert problems_of(text) == ['lab.yaml:5: unknown key "link" in the lab']


def test_a_lost_link_leaves_the_others_their_places_in_the_file() -> None:
    text = "name: x\nnodes: [a, b]\nlinks:\n  - 7\n  - {endpoints: [a, c]}\n"

    assert problems_of(text) == [
        "lab.yaml:4: link 1 must be a mapping",
        'lab.yaml:5: there is no node "c"',
    ]


def test_all_that_is_wrong_with_a_program_is_said() -> None:
    text = two_hosts(more='programs:\n  p: {node: nowhere, command: "\'", ready: soon, x: 1}\n')

    assert len(problems_of(text)) == 4


def test_problems_are_in_the_order_of_the_file() -> None:
    text = two_wires("ipv4: 10.0.0.0/33, foo: 1", "mtu: 1", client="bar: 1, gateway: x")
    lines = [int(problem.split(":")[1]) for problem in problems_of(text)]

    assert lines == [2, 2, 4, 4, 5]
