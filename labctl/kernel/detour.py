"""Leads the frames of a running lab's wired links: past the lab's emulator, or through it.

This is the hidden namespace as seen from outside the lab; ``labctl.kernel.redirect`` has the
messages.
"""

import errno
import socket
from collections.abc import Iterable, Sequence
from struct import unpack_from
from typing import Self

from labctl.errors import LabError, machine_error
from labctl.kernel import netlink, redirect
from labctl.kernel.control import Control
from labctl.kernel.wire import HIDDEN
from labctl.plan.backend import HIDDEN_MTU
from labctl.wait import until

_ACTIVE_WITHIN_S = 2.0
_IFINFO_BYTES = 16


class HiddenLinks:
    """The interfaces of a lab's hidden namespace, for the length of a ``with`` block.

    Each is asked for by its name, and once: a lab has two of them for every wired link, and the
    whole list would cost most where only one link changes.
    """

    def __init__(self, control: Control) -> None:
        self._socket = control.open_socket(HIDDEN, socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self._numbers: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def has(self, names: Iterable[str]) -> bool:
        """Whether all these interfaces are there."""
        return all(self._number(name) for name in names)

    def ensure_pairs(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Have hidden pairs that lead to the emulator, and have both ends of each up."""
        wanted = list(dict.fromkeys(pairs))
        ends = [name for pair in wanted for name in pair]
        self._send([(pair[0], _new_pair(pair)) for pair in wanted if not self.has(pair)])
        # Also those that were there: whoever made one may have been killed at this point.
        self.bring_up(ends)
        for first in ends[::2]:
            _await_active(self._socket, self._existing(first))

    def bring_up(self, names: Iterable[str]) -> None:
        """Set interfaces up. The node's end of a link that was up before has its carrier then."""
        self._send([(name, netlink.set_up_silent(self._existing(name))) for name in names])

    def point(self, ways: Iterable[tuple[str, str]]) -> None:
        """Send every frame that arrives at one interface out by another; each way atomically.

        Raises ``LabError`` where an interface is gone.
        """
        # All are looked up before the first changes.
        messages = [
            (far, redirect.redirect(self._existing(far), self._existing(to))) for far, to in ways
        ]
        self._send(messages)

    def _existing(self, name: str) -> int:
        number = self._number(name)
        if not number:
            raise link_is_gone(name)
        return number

    def _number(self, name: str) -> int:
        """Return the number of an interface, 0 where there is none."""
        number = self._numbers.get(name, 0) or _number_of(self._socket, name)
        if number:
            self._numbers[name] = number
        return number

    def _send(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Send messages, each with the name of the interface that it is about."""
        batch = netlink.Batch(self._socket)
        try:
            for position, (_, message) in enumerate(messages, start=1):
                batch.add(message, position)
            batch.flush()
        except netlink.NetlinkError as error:
            if error.errno == errno.ENODEV:
                raise link_is_gone(messages[error.position - 1][0]) from error
            raise machine_error(
                f"the kernel refuses to lead a link through the emulator: {error.strerror}",
                hint="take the lab down and up again",
            ) from error


def await_active(control: Control, netns: str, interfaces: Iterable[str]) -> None:
    """Wait until interfaces of a node drop nothing any more; see ``netlink.is_active``."""
    with control.open_socket(netns, socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        for interface in interfaces:
            number = _number_of(sock, interface)
            if not number:
                raise link_is_gone(interface)
            _await_active(sock, number)


def link_is_gone(name: str) -> LabError:
    """Return what to tell where an interface of a link has gone, and the others with it."""
    return LabError(
        f"the link {name} is gone: one of its interfaces was deleted",
        hint="take the lab down and up again",
    )


def _new_pair(pair: tuple[str, str]) -> bytes:
    first, second = ((name, 0, "", HIDDEN_MTU) for name in pair)
    return netlink.create_veth(first, second)


def _await_active(sock: socket.socket, number: int) -> None:
    until(lambda: netlink.is_active(sock, number), _ACTIVE_WITHIN_S)


def _number_of(sock: socket.socket, name: str) -> int:
    wanted = bytes(_IFINFO_BYTES) + netlink.attribute(netlink.IFLA_IFNAME, name.encode() + b"\0")
    request = netlink.message(netlink.RTM_GETLINK, netlink.NLM_F_ACK, wanted)
    try:
        [(_, body)] = netlink.dump(sock, request)
    except netlink.NetlinkError as error:
        if error.errno == errno.ENODEV:
            return 0
        raise
    (number,) = unpack_from("i", body, 4)
    return int(number)
