"""netem on the plain links of a running lab, from outside its nodes: put there, read, taken away."""

import socket
from collections.abc import Iterable, Mapping

from labctl.kernel import netlink, qdisc
from labctl.kernel.control import Control
from labctl.kernel.detour import link_is_gone
from labctl.topology.directions import Direction
from labctl.topology.impairment import PERFECT, Impairment


class NetemLinks:
    """The interfaces of a lab's nodes; each node is asked once, however many it has.

    ``netns`` has the namespace of every node.
    """

    def __init__(self, control: Control, netns: Mapping[str, str]) -> None:
        self._control = control
        self._netns = netns

    def put(self, direction: Direction, impairment: Impairment) -> None:
        """Make a direction as bad as that, in place of whatever it was."""
        with self._open(direction.source.node) as sock:
            numbers = _numbers(sock, [direction])
            if not numbers:
                raise link_is_gone(direction.name)
            message = qdisc.replace(numbers[direction.name], impairment)
            _send(sock, direction.source.interface, [message])

    def installed(self, directions: Iterable[Direction]) -> dict[str, qdisc.InstalledNetem]:
        """Return what is on those directions that have netem, by the name of the direction."""
        found: dict[str, qdisc.InstalledNetem] = {}
        for node, own in _by_node(directions).items():
            with self._open(node) as sock:
                numbers, netems = _numbers(sock, own), qdisc.installed(sock)
            found.update(
                (name, netems[index]) for name, index in numbers.items() if index in netems
            )
        return found

    def clear(self, directions: Iterable[Direction]) -> None:
        """Make directions perfect, and take netem away where no packet waits in it."""
        for node, own in _by_node(directions).items():
            with self._open(node) as sock:
                bad = set(_numbers(sock, own).values()).intersection(qdisc.installed(sock))
                # What waits in a qdisc is lost with it: a perfect one lets it go at its time first.
                _send(sock, node, [qdisc.replace(index, PERFECT) for index in bad])
                idle = {
                    index
                    for index, netem in qdisc.installed(sock).items()
                    if not netem.statistics.waiting_packets
                }
                _send(sock, node, [qdisc.delete(index) for index in bad & idle])

    def _open(self, node: str) -> socket.socket:
        return self._control.open_socket(self._netns[node], socket.AF_NETLINK, socket.SOCK_RAW, 0)


def _by_node(directions: Iterable[Direction]) -> dict[str, list[Direction]]:
    """Return the directions by the node that sends."""
    grouped: dict[str, list[Direction]] = {}
    for direction in directions:
        grouped.setdefault(direction.source.node, []).append(direction)
    return grouped


def _numbers(sock: socket.socket, directions: Iterable[Direction]) -> dict[str, int]:
    """Return the interface of each direction, where it is there, by the direction's name."""
    numbers = {interface: index for index, interface in netlink.list_links(sock)}
    return {
        direction.name: numbers[direction.source.interface]
        for direction in directions
        if direction.source.interface in numbers
    }


def _send(sock: socket.socket, where: str, messages: Iterable[bytes]) -> None:
    batch = netlink.Batch(sock)
    try:
        for position, message in enumerate(messages, start=1):
            batch.add(message, position)
        batch.flush()
    except netlink.NetlinkError as error:
        raise qdisc.refused(error, where) from error
