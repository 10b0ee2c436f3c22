"""What exists: a node's interfaces, addresses and routes, read back from the kernel."""

import socket
import struct
import sys
from typing import NamedTuple

from labctl.kernel import netlink
from labctl.kernel.control import Control

_IFLA_IFNAME, _IFLA_ADDRESS, _IFLA_MTU, _IFLA_MASTER, _IFLA_CARRIER = 3, 1, 4, 10, 33
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_TABLE = 1, 4, 5, 15
_IFF_UP, _IFF_LOOPBACK = 1, 8
_RT_TABLE_MAIN, _RTN_UNICAST = 254, 1


class Interface(NamedTuple):
    """One interface as the kernel has it now."""

    name: str
    ifindex: int
    is_up: bool
    has_carrier: bool
    """Whether the other end is up as well."""
    is_loopback: bool
    mtu: int
    mac: str
    master: str
    """The bridge it is a port of, or empty."""
    addresses: tuple[str, ...]


class InstalledRoute(NamedTuple):
    """One unicast route of the main table."""

    to: str
    via: str
    """Empty where the destination is on the link."""
    interface: str


class Node(NamedTuple):
    """One node as the kernel has it now."""

    interfaces: tuple[Interface, ...]
    routes: tuple[InstalledRoute, ...]


def read_node(control: Control, netns: str) -> Node:
    """Ask the kernel about one node of a running lab."""
    with control.open_socket(netns, socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        addresses = _addresses(sock)
        interfaces = _interfaces(sock, addresses)
        names = {interface.ifindex: interface.name for interface in interfaces}
        return Node(tuple(interfaces), tuple(_routes(sock, names)))


def _addresses(sock: socket.socket) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    request = netlink.message(netlink.RTM_GETADDR, netlink.NLM_F_DUMP, bytes(8))
    for _, body in netlink.dump(sock, request):
        family, length, _, _, ifindex = struct.unpack_from("BBBBi", body)
        values = dict(netlink.attributes(body, 8))
        raw = values.get(_IFA_LOCAL, values[_IFA_ADDRESS])
        found.setdefault(ifindex, []).append(f"{socket.inet_ntop(family, raw)}/{length}")
    return found


def _interfaces(sock: socket.socket, addresses: dict[int, list[str]]) -> list[Interface]:
    request = netlink.message(netlink.RTM_GETLINK, netlink.NLM_F_DUMP, bytes(16))
    raw: list[tuple[int, int, dict[int, bytes]]] = []
    for _, body in netlink.dump(sock, request):
        ifindex, flags = struct.unpack_from("iI", body, 4)
        raw.append((ifindex, flags, dict(netlink.attributes(body, 16))))
    names = {ifindex: _text(values[_IFLA_IFNAME]) for ifindex, _, values in raw}
    return [
        Interface(
            name=names[ifindex],
            ifindex=ifindex,
            is_up=bool(flags & _IFF_UP),
            has_carrier=values.get(_IFLA_CARRIER, b"\0") == b"\1",
            is_loopback=bool(flags & _IFF_LOOPBACK),
            mtu=_number(values[_IFLA_MTU]),
            mac=values.get(_IFLA_ADDRESS, b"").hex(":"),
            master=names.get(_number(values.get(_IFLA_MASTER, bytes(4))), ""),
            addresses=tuple(addresses.get(ifindex, ())),
        )
        for ifindex, flags, values in raw
    ]


def _routes(sock: socket.socket, names: dict[int, str]) -> list[InstalledRoute]:
    found = []
    request = netlink.message(netlink.RTM_GETROUTE, netlink.NLM_F_DUMP, bytes(12))
    for _, body in netlink.dump(sock, request):
        family, length, _, _, table, _, _, kind, _ = struct.unpack_from("BBBBBBBBI", body)
        if table != _RT_TABLE_MAIN or kind != _RTN_UNICAST:
            continue
        values = dict(netlink.attributes(body, 12))
        to = f"{socket.inet_ntop(family, values[_RTA_DST])}/{length}" if length else "default"
        via = values.get(_RTA_GATEWAY)
        found.append(
            InstalledRoute(
                to,
                socket.inet_ntop(family, via) if via else "",
                names.get(_number(values.get(_RTA_OIF, bytes(4))), ""),
            )
        )
    return found


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode()


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, sys.byteorder)
