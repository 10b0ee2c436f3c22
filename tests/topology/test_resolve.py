import pytest

from tests.topology.lab_files import only_error, problems_of, topology_of, two_hosts


def test_nodes_may_be_a_list_of_names() -> None:
    topology = topology_of("name: x\nnodes: [client, no, 'on']\n")

    assert [(node.name, node.kind) for node in topology.nodes] == [
        ("client", "host"),
        ("no", "host"),
        ("on", "host"),
    ]


def test_an_entry_of_the_list_of_nodes_is_a_name() -> None:
    assert problems_of("name: x\nnodes:\n  - a\n  - b: {kind: router}\n") == [
        "lab.yaml:4: an entry of the list of nodes is not a name"
    ]


def test_a_node_is_listed_once() -> None:
    assert problems_of("name: x\nnodes: [a,\n b,\n a]\n") == [
        'lab.yaml:4: the node "a" is listed again, after line 2'
    ]


def test_a_namespace_is_named_after_lab_and_node_unless_the_file_names_it() -> None:
    topology = topology_of(two_hosts(client="netns: mine"))

    assert [node.netns for node in topology.nodes] == ["mine", "lab-server"]


@pytest.mark.parametrize("name", ["two words", "-x", "_x", "a/b", "", "é", "x" * 41])
def test_a_lab_name_that_no_command_line_likes_is_refused(name: str) -> None:
    error = only_error(f'name: "{name}"\nnodes: [a]\n')

    assert error.problem.endswith("cannot name a lab")
    assert error.where == "lab.yaml:1"


@pytest.mark.parametrize("name", ["two words", "-x", "a/b", "a:b", "", "é", "x" * 41])
def test_a_node_name_that_no_command_line_likes_is_refused(name: str) -> None:
    error = only_error(f'name: x\nnodes: ["{name}"]\n')

    assert error.problem.endswith("cannot name a node")


def test_a_name_of_forty_characters_is_fine() -> None:
    assert topology_of(f"name: {'x' * 40}\nnodes: [{'y' * 40}]\n").nodes[0].name == "y" * 40


@pytest.mark.parametrize("name", ["1", "10.0.0.1", "0x7f.1"])
def test_a_node_name_that_reads_as_an_address_is_refused(name: str) -> None:
    assert "would be taken for an address" in only_error(f"name: x\nnodes: [{name}]\n").problem


def test_a_node_cannot_be_called_localhost() -> None:
    assert "means the node itself" in only_error("name: x\nnodes: [localhost]\n").problem


def test_node_names_differ_in_more_than_capitals() -> None:
    assert "differ only in capitals" in only_error("name: x\nnodes: [a, A]\n").problem


def test_a_lab_has_nodes() -> None:
    assert "the lab has no nodes" in problems_of("name: x\nnodes: {}\n")[0]


def test_two_nodes_cannot_have_one_namespace() -> None:
    error = only_error(two_hosts(client="netns: lab-server"))

    assert error.problem == (
        'the nodes "client" and "server" would both have the network namespace "lab-server"'
    )


@pytest.mark.parametrize("netns", ["a/b", "..", "a b", ""])
def test_a_namespace_name_is_a_file_name(netns: str) -> None:
    error = only_error(two_hosts(client=f'netns: "{netns}"'))

    assert error.problem.endswith("cannot name a network namespace")


def test_settings_are_taken_as_written() -> None:
    node = topology_of(
        two_hosts(client="sysctls: {net.ipv4.tcp_rmem: 4096 87380 6291456, net.ipv4.x: 010}")
    ).node("client")

    assert node.sysctls == (("net.ipv4.tcp_rmem", "4096 87380 6291456"), ("net.ipv4.x", "010"))


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("kernel.hostname", "a node has only settings of its network"),
        ("network.x", "a node has only settings of its network"),
        ("net/ipv4/ip_forward", "settings are written with dots"),
        ("net.ipv4/../../x", "settings are written with dots"),
        ("net.ipv4..x", "it is not the name of a setting"),
        ("net.", "it is not the name of a setting"),
        ("net.ipv4.conf.eth0.rp_filter", 'before the interface "eth0" exists'),
    ],
)
def test_a_setting_that_a_node_does_not_have_is_refused(key: str, said: str) -> None:
    error = only_error(two_hosts(client=f'sysctls: {{"{key}": 1}}'))

    assert said in error.problem
    assert error.where == "lab.yaml:3"


def test_settings_of_all_and_future_interfaces_are_fine() -> None:
    text = two_hosts(client="sysctls: {net.ipv4.conf.default.rp_filter: 0, net.ipv6.conf.all.x: 1}")

    assert len(topology_of(text).node("client").sysctls) == 2


def test_a_setting_has_a_value() -> None:
    assert "cannot be set to" in only_error(two_hosts(client="sysctls: {net.x: ''}")).problem


def test_a_lab_without_links_is_a_lab() -> None:
    assert topology_of("name: x\nnodes: [a]\nlinks:\nprograms:\n").links == ()
