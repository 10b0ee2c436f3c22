"""Lets each end of a wired link see when the other end goes down, as with a cable.

Between the nodes' ends of a wired link lie two hidden interfaces that are always up, so setting
one end down would go unnoticed at the other. Here the hidden interface next to one node's end
follows the state of the other node's end, which the kernel announces in that node's namespace
(RTNLGRP_LINK, rtnetlink(7)).
"""

import errno
import select
import socket
from collections.abc import Callable, Iterator
from struct import unpack_from

from labctl.kernel import netlink
from labctl.kernel.wire import Follower

_RTMGRP_LINK = 1
_IFF_UP = 1
_RECEIVE_BYTES = 1 << 16
_MOST_WAITING = 200
"""More announcements than a socket keeps; a node can make them without end."""


class CarrierMirror:
    """The followers of one lab.

    ``open_in`` returns a netlink socket that lives in a namespace, by its name; ``hidden`` is one
    of the hidden namespace.
    """

    def __init__(
        self,
        followers: list[Follower],
        open_in: Callable[[str], socket.socket],
        hidden: socket.socket,
    ) -> None:
        self._batch = netlink.Batch(hidden)
        numbers = {name: ifindex for ifindex, name in netlink.list_links(hidden)}
        self._sockets: dict[str, socket.socket] = {}
        self._poll = select.poll()
        self._hidden: dict[tuple[str, str], int] = {}
        self._is_up: dict[tuple[str, str], bool] = {}
        for follower in followers:
            place = follower.netns, follower.interface
            self._hidden[place] = numbers[follower.hidden_interface]
            self._is_up[place] = True
            if follower.netns not in self._sockets:
                sock = open_in(follower.netns)
                sock.bind((0, _RTMGRP_LINK))
                sock.setblocking(False)
                _ask_for_all(sock)  # what has gone down before that is not announced any more
                self._poll.register(sock, select.POLLIN)
                self._sockets[follower.netns] = sock
        self._followers = dict(self.sources())

    def sources(self) -> Iterator[tuple[int, Callable[[], None]]]:
        """Yield descriptors to watch, each with what to call once it is readable."""
        for netns, sock in self._sockets.items():
            yield sock.fileno(), lambda netns=netns, sock=sock: self._follow(netns, sock)  # type: ignore[misc]

    def catch_up(self) -> None:
        """Follow all that has been announced by now."""
        for _ in range(_MOST_WAITING):
            ready = self._poll.poll(0)
            if not ready:
                return
            for fd, _ in ready:
                self._followers[fd]()

    def _follow(self, netns: str, sock: socket.socket) -> None:
        try:
            data = sock.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            _ask_for_all(sock)  # announcements were lost
            return
        for interface, is_up in _link_states(data):
            place = netns, interface
            if place in self._hidden and self._is_up[place] != is_up:
                self._is_up[place] = is_up
                ifindex = self._hidden[place]
                change = netlink.set_up_silent if is_up else netlink.set_down
                self._batch.add(change(ifindex), 1)
        try:
            self._batch.flush()
        except netlink.NetlinkError:
            pass  # the interface has been deleted, and its link with it


def _ask_for_all(sock: socket.socket) -> None:
    """Have the kernel announce the state of every interface."""
    sock.send(netlink.message(netlink.RTM_GETLINK, netlink.NLM_F_DUMP, bytes(16)))


def _link_states(data: bytes) -> Iterator[tuple[str, bool]]:
    for kind, body in netlink.bodies(data):
        if kind != netlink.RTM_NEWLINK:
            continue
        (flags,) = unpack_from("I", body, 8)
        for attribute, value in netlink.attributes(body, 16):
            if attribute == netlink.IFLA_IFNAME:
                yield value.rstrip(b"\0").decode(), bool(flags & _IFF_UP)
