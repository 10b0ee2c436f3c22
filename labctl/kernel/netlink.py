"""The few rtnetlink messages that building a lab needs, packed by hand and sent in batches.

pyroute2 needs 350 ms to import and 0.65 ms for a message; a whole lab has 35 ms. Layouts and
numbers are those of rtnetlink(7) and include/uapi/linux/{netlink,rtnetlink,if_link,if_addr}.h.
"""

import os
from _socket import AF_INET, AF_INET6, AF_NETLINK, SOCK_CLOEXEC, SOCK_RAW, inet_pton, socket
from collections.abc import Iterator
from struct import pack, unpack_from

RTM_NEWLINK, RTM_GETLINK = 16, 18
RTM_NEWADDR, RTM_GETADDR = 20, 22
RTM_NEWROUTE, RTM_GETROUTE = 24, 26

NLM_F_REQUEST = 0x001
NLM_F_ACK = 0x004
NLM_F_DUMP = 0x300
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_ACK_TLVS = 0x200
NLMSG_ERROR, NLMSG_DONE = 2, 3

_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_NLMSGERR_ATTR_MSG = 1

_NESTED = 0x8000
_IFF_UP = 1
_IFF_NOARP = 0x80
_IFLA_ADDRESS, IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER = 1, 3, 4, 10
_IFLA_OPERSTATE, _IFLA_LINKINFO, _IFLA_NET_NS_FD, _IFLA_CARRIER = 16, 18, 28, 33
_OPERSTATE_UP = b"\6"
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFLA_BR_FORWARD_DELAY, _IFLA_BR_MCAST_SNOOPING = 1, 23
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4
_IFA_F_NODAD = 0x02
_RTA_DST, _RTA_GATEWAY = 1, 5
_RT_TABLE_MAIN, _RTPROT_BOOT, _RTN_UNICAST = 254, 3, 1

LOOPBACK_INDEX = 1

_BATCH_BYTES = 60_000
"""One sendmsg takes at most what the socket's send buffer holds (208 KiB by default)."""


class NetlinkError(OSError):
    """The kernel refused a message; ``position`` is what ``Batch.add`` was given with it."""

    def __init__(self, number: int, text: str, position: int) -> None:
        super().__init__(number, text or os.strerror(number))
        self.position = position


def open_socket() -> socket:
    """Return a route socket of the network namespace that the process is in now."""
    sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0)
    sock.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
    sock.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
    return sock


class Batch:
    """Messages for one namespace, sent together.

    Only the last message of a batch asks for an acknowledgement: errors always come back, and
    the kernel carries the messages out in order before ``send`` returns.
    """

    def __init__(self, sock: socket) -> None:
        self._socket = sock
        self._messages: list[bytes] = []
        self._bytes = 0

    def add(self, message: bytes, position: int) -> None:
        """Queue a message made by one of the functions below.

        ``position`` (1 or more) comes back in the ``NetlinkError`` if the kernel refuses it.
        """
        self._messages.append(message[:8] + pack("I", position) + message[12:])
        self._bytes += len(message)
        if self._bytes >= _BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what is queued. Raises ``NetlinkError`` for the first message refused."""
        if not self._messages:
            return
        last = self._messages[-1]
        (flags,) = unpack_from("H", last, 6)
        self._messages[-1] = last[:6] + pack("H", flags | NLM_F_ACK) + last[8:]
        data = b"".join(self._messages)
        self._messages, self._bytes = [], 0
        self._socket.sendto(data, (0, 0))
        (awaited,) = unpack_from("I", last, 8)
        while True:
            for kind, position, body in _messages(self._socket.recv(65536)):
                if kind == NLMSG_ERROR:
                    _raise_if_refused(body, position)
                    if position == awaited:
                        return


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at < len(data):
        length, kind, flags, sequence, _ = unpack_from("IHHII", data, at)
        # The flags tell whether extended text follows; they travel in front of the body.
        yield kind, sequence, pack("H", flags) + data[at + 16 : at + length]
        at += (length + 3) & ~3


def bodies(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (message type, body) of each message in what a socket gave."""
    for kind, _, body in _messages(data):
        yield kind, body[2:]


def _raise_if_refused(body: bytes, position: int) -> None:
    (flags,) = unpack_from("H", body)
    (error,) = unpack_from("i", body, 2)
    if error == 0:
        return
    text = ""
    if flags & NLM_F_ACK_TLVS:
        for kind, value in attributes(body, 2 + 4 + 16):
            if kind == _NLMSGERR_ATTR_MSG:
                text = value.rstrip(b"\0").decode()
    raise NetlinkError(-error, text, position)


def dump(sock: socket, request: bytes) -> list[tuple[int, bytes]]:
    """Send a dump request and return (message type, body) of each answer.

    All of them, even if the caller needs one: what is left unread would answer the next request.
    """
    sock.sendto(request, (0, 0))
    answers: list[tuple[int, bytes]] = []
    while True:
        for kind, position, body in _messages(sock.recv(1 << 18)):
            if kind == NLMSG_DONE:
                return answers
            if kind == NLMSG_ERROR:
                _raise_if_refused(body, position)
                return answers
            answers.append((kind, body[2:]))


def list_links(sock: socket) -> list[tuple[int, str]]:
    """Return (index, name) of every interface in the socket's namespace."""
    request = message(RTM_GETLINK, NLM_F_DUMP, _ifinfo(0))
    links = []
    for _, body in dump(sock, request):
        (index,) = unpack_from("i", body, 4)
        names = [value for kind, value in attributes(body, 16) if kind == IFLA_IFNAME]
        links.append((index, names[0].rstrip(b"\0").decode()))
    return links


def is_active(sock: socket, ifindex: int, *, or_no_carrier: bool = False) -> bool:
    """Whether an interface that is up has its queue, and so drops nothing that is sent on it.

    Of a veth pair the end that is set up first gets its queue from a kernel worker, once the
    other end is up too (net/core/link_watch.c). The worker sets the operational state as well,
    and since Linux 6.9 asking for one interface does the worker's work at once. A port of a
    bridge forwards from then on, too.
    """
    request = message(RTM_GETLINK, NLM_F_ACK, _ifinfo(ifindex))
    values = {
        kind: value for _, body in dump(sock, request) for kind, value in attributes(body, 16)
    }
    if or_no_carrier and values.get(_IFLA_CARRIER) == b"\0":
        return True
    return values.get(_IFLA_OPERSTATE, b"")[:1] == _OPERSTATE_UP


def attributes(data: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Yield (type, value) of the attributes from offset ``at`` on."""
    while at + 4 <= len(data):
        length, kind = unpack_from("HH", data, at)
        if length < 4:
            return
        yield kind & 0x3FFF, data[at + 4 : at + length]
        at += (length + 3) & ~3


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute, padded to four bytes."""
    length = len(value) + 4
    return pack("HH", length, kind) + value + b"\0" * (-length & 3)


def message(kind: int, flags: int, body: bytes) -> bytes:
    """Return a request with sequence number 1."""
    return pack("IHHII", 16 + len(body), kind, flags | NLM_F_REQUEST, 1, 0) + body


def _ifinfo(index: int, flags: int = 0) -> bytes:
    return pack("BxHiII", 0, 0, index, flags, flags)


def _interface(end: tuple[str, int, str, int]) -> bytes:
    name, index, mac, mtu = end
    parts = [_ifinfo(index), attribute(IFLA_IFNAME, name.encode() + b"\0")]
    if mac:
        parts.append(attribute(_IFLA_ADDRESS, bytes.fromhex(mac.replace(":", ""))))
    if mtu:
        parts.append(attribute(_IFLA_MTU, pack("I", mtu)))
    return b"".join(parts)


def create_veth(
    near: tuple[str, int, str, int],
    peer: tuple[str, int, str, int],
    peer_netns_fd: int | None = None,
) -> bytes:
    """Return the message that creates both ends of a veth pair where they belong.

    Each end is (interface, index, MAC or "", MTU or 0). The message must be sent in the namespace of the
    near end: the kernel looks the near end's name and index up in the sender's namespace, even
    when the link is to be created in another one. The indices are asked for, so that the
    messages that follow can name the interfaces by them.
    """
    place = b"" if peer_netns_fd is None else attribute(_IFLA_NET_NS_FD, pack("i", peer_netns_fd))
    info = attribute(_IFLA_INFO_KIND, b"veth") + attribute(
        _IFLA_INFO_DATA | _NESTED,
        attribute(_VETH_INFO_PEER | _NESTED, _interface(peer) + place),
    )
    body = _interface(near) + attribute(_IFLA_LINKINFO | _NESTED, info)
    return message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body)


def create_bridge(interface: str, index: int) -> bytes:
    """Return the message that creates a bridge, up, whose ports forward as soon as they are up."""
    settings = attribute(_IFLA_BR_FORWARD_DELAY, pack("I", 0)) + attribute(
        _IFLA_BR_MCAST_SNOOPING, pack("B", 0)
    )
    info = attribute(_IFLA_INFO_KIND, b"bridge") + attribute(_IFLA_INFO_DATA | _NESTED, settings)
    body = (
        _ifinfo(index, _IFF_UP)
        + attribute(IFLA_IFNAME, interface.encode() + b"\0")
        + attribute(_IFLA_LINKINFO | _NESTED, info)
    )
    return message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body)


def set_up(index: int) -> bytes:
    """Return the message that sets an interface up."""
    return message(RTM_NEWLINK, 0, _ifinfo(index, _IFF_UP))


def set_up_silent(index: int) -> bytes:
    """Return the message that sets an interface up without ARP."""
    body = pack("BxHiII", 0, 0, index, _IFF_UP | _IFF_NOARP, _IFF_UP | _IFF_NOARP)
    return message(RTM_NEWLINK, 0, body)


def set_down(index: int) -> bytes:
    """Return the message that sets an interface down."""
    return message(RTM_NEWLINK, 0, pack("BxHiII", 0, 0, index, 0, _IFF_UP))


def set_master(index: int, master: int) -> bytes:
    """Return the message that makes an interface a port of a bridge."""
    return message(RTM_NEWLINK, 0, _ifinfo(index) + attribute(_IFLA_MASTER, pack("I", master)))


def add_address(index: int, address: str) -> bytes:
    """Return the message that gives an interface an address such as ``10.0.1.2/24``."""
    text, _, length_text = address.partition("/")
    length = int(length_text)
    if ":" in text:
        raw = inet_pton(AF_INET6, text)
        head = pack("BBBBi", AF_INET6, length, _IFA_F_NODAD, 0, index)
        body = head + attribute(_IFA_LOCAL, raw) + attribute(_IFA_ADDRESS, raw)
        return message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, body)
    raw = inet_pton(AF_INET, text)
    head = pack("BBBBi", AF_INET, length, 0, 0, index)
    body = head + attribute(_IFA_LOCAL, raw) + attribute(_IFA_ADDRESS, raw)
    if length < 31:
        broadcast = int.from_bytes(raw, "big") | (0xFFFF_FFFF >> length)
        body += attribute(_IFA_BROADCAST, broadcast.to_bytes(4, "big"))
    return message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, body)


def add_route(to: str, via: str) -> bytes:
    """Return the message that adds a static route; ``to`` is ``default`` or a prefix."""
    family = AF_INET6 if ":" in via else AF_INET
    prefix, _, length_text = to.partition("/")
    length = 0 if to == "default" else int(length_text)
    body = pack("BBBBBBBBI", family, length, 0, 0, _RT_TABLE_MAIN, _RTPROT_BOOT, 0, _RTN_UNICAST, 0)
    if to != "default":
        body += attribute(_RTA_DST, inet_pton(family, prefix))
    body += attribute(_RTA_GATEWAY, inet_pton(family, via))
    return message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, body)
