"""The hosts file of each node, so that names resolve inside a lab without a name server."""

from collections.abc import Iterator

from labctl.topology.model import Topology

_LOOPBACK = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"


def hosts_files(topology: Topology) -> Iterator[tuple[str, str]]:
    """Yield (node name, text) for every node.

    A name with several addresses has a line for each. The addresses that a node shares a link
    with come first in that node's file, because gethostbyname(3) takes the first it finds.
    """
    lines: dict[str, list[str]] = {node.name: [] for node in topology.nodes}
    neighbours: dict[str, list[str]] = {node.name: [] for node in topology.nodes}
    for link in topology.links:
        for end, other in ((link.left, link.right), (link.right, link.left)):
            own = [f"{address.partition('/')[0]}\t{end.node}\n" for address in end.addresses]
            lines[end.node] += own
            neighbours[other.node] += own
    everyone = "".join(line for own in lines.values() for line in own)
    for name, own in lines.items():
        # The near lines stand twice: leaving them out below would cost a lab of a thousand nodes
        # a million comparisons.
        yield name, "".join([_LOOPBACK, *own, *neighbours[name], "# everyone\n", everyone])
