"""Another copy of a lab, under a name of its own."""

from labctl.errors import LabError
from labctl.topology.model import Topology


def default_netns(lab: str, node: str) -> str:
    """Return the name of a node's network namespace where the lab file gives none."""
    return f"{lab}-{node}"


def as_copy(topology: Topology, name: str) -> Topology:
    """Return the lab under the name, or as it is where the name is empty or its own.

    The names of namespaces that the file gives belong to the lab of the file: two copies cannot
    both have them.
    """
    if name in ("", topology.name):
        return topology
    # Imported here because a lab under its own name, the usual one, should not pay for it.
    from labctl.topology.words import NAME_RULE, is_name, quoted

    if not is_name(name):
        raise LabError(f"{quoted(name)} cannot name a lab", where="--name", hint=NAME_RULE)
    return topology._replace(
        name=name,
        nodes=tuple(node._replace(netns=default_netns(name, node.name)) for node in topology.nodes),
    )
