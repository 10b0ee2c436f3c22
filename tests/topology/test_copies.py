import pytest

from labctl.errors import LabError
from labctl.topology.copies import as_copy
from tests.topology.lab_files import topology_of, two_hosts


def test_a_copy_has_its_own_name_and_namespaces() -> None:
    copy = as_copy(topology_of(two_hosts(client="netns: mine")), "second")

    assert copy.name == "second"
    assert [node.netns for node in copy.nodes] == ["second-client", "second-server"]


@pytest.mark.parametrize("name", ["", "lab"])
def test_a_lab_under_its_own_name_keeps_the_namespaces_of_the_file(name: str) -> None:
    topology = topology_of(two_hosts(client="netns: mine"))

    assert as_copy(topology, name) is topology


def test_a_copy_needs_a_proper_name() -> None:
    with pytest.raises(LabError, match='"a/b" cannot name a lab') as raised:
        as_copy(topology_of(two_hosts()), "a/b")

    assert raised.value.where == "--name"
