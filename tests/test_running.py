import os

import pytest

from labctl.errors import LabError
from labctl.lab import running_lab
from labctl.running import open_lab, unknown_node
from labctl.topology.copies import as_copy
from tests.owners import unique_name
from tests.topology.lab_files import topology_of, two_hosts


def test_an_unknown_node_is_corrected_or_the_nodes_are_listed() -> None:
    near = unknown_node("lab", "clent", ["client", "server"])
    far = unknown_node("lab", "x", [f"n{number}" for number in range(30)])

    assert near.hint == 'did you mean "client"?'
    assert far.hint.endswith("n19 …")


def test_a_lab_that_is_not_up_cannot_be_opened() -> None:
    name = unique_name()
    with pytest.raises(LabError, match=name):
        open_lab(name)


@pytest.mark.kernel
def test_an_open_lab_knows_its_nodes_and_when_it_has_ended() -> None:
    name = unique_name()
    topology = as_copy(topology_of(two_hosts()), name)
    with running_lab(topology, is_rootless=True):
        lab = open_lab(name)
        assert (lab.name, lab.netns("client")) == (name, f"{name}-client")
        with pytest.raises(LabError, match=f'the lab "{name}" has no node "clint"'):
            lab.netns("clint")
        assert lab.is_alive()
    assert not lab.is_alive()
    os.close(lab.pidfd)
