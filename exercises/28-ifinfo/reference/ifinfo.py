#!/usr/bin/env python3
"""Show the network interfaces of this machine: index, MTU, MAC address, flags, IP addresses.

usage: ifinfo [INTERFACE]

Prints a line for each interface, or for the one that is named, in the order of their indexes, and
after it one for each of its addresses:

    veth_c1 index=2 mtu=1500 mac=12:34:56:78:9a:bc flags=UP,BROADCAST,RUNNING,MULTICAST
    veth_c1 inet=10.0.1.2/24
    veth_c1 inet6=fd00:0:0:1::2/64

Exit 0, or 1 for an error. Needs no privilege.

What it shows: the kernel is asked by messages (rtnetlink(7)), as `ip` does it. Two questions, "all
links" and "all addresses", have answers of any length; the older ioctls give one value of one
interface each, and only one of its addresses.
"""

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

USAGE = "usage: ifinfo [INTERFACE]"

# linux/netlink.h, linux/rtnetlink.h and linux/if_link.h. All in the byte order of the machine.
MESSAGE = struct.Struct("=IHHII")  # length, type, flags, sequence number, port
LINK = struct.Struct("=BxHiII")  # family, device type, index, flags, which flags change
ADDRESS = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
ATTRIBUTE = struct.Struct("=HH")  # length with these four bytes, type
ERROR = struct.Struct("=i")

NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
RTM_NEWLINK, RTM_GETLINK = 16, 18
RTM_NEWADDR, RTM_GETADDR = 20, 22
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU = 1, 3, 4
IFA_ADDRESS, IFA_LOCAL = 1, 2

BUFFER_SIZE = 1 << 16

# net/if.h, in the order of the bits.
FLAGS = {
    0x1: "UP",
    0x2: "BROADCAST",
    0x8: "LOOPBACK",
    0x10: "POINTOPOINT",
    0x40: "RUNNING",
    0x80: "NOARP",
    0x100: "PROMISC",
    0x200: "ALLMULTI",
    0x1000: "MULTICAST",
}


class Interface(NamedTuple):
    """What is known of one interface, but for its addresses."""

    index: int
    name: str
    mtu: int
    mac: bytes
    flags: int

    def line(self) -> str:
        # Not every kind of interface has a MAC address: a tunnel has none, or an IP address there.
        mac = self.mac.hex(":") if len(self.mac) == 6 else "-"
        flags = ",".join(name for bit, name in FLAGS.items() if self.flags & bit)
        return f"{self.name} index={self.index} mtu={self.mtu} mac={mac} flags={flags or '-'}"


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Turn the failure of a system call into one line on stderr and exit code 1."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        sys.exit(f"error: {call}: {name} ({error.strerror})")


def say(line: str) -> None:
    """Write a line at once: print() keeps it back when the output is a pipe or a file."""
    # Started with `>&-`, our own socket would be descriptor 1: make the call fail instead.
    with calling("write"):
        os.write(-1 if sys.stdout is None else 1, f"{line}\n".encode())


def dump(sock: socket.socket, question: int) -> Iterator[tuple[int, bytes]]:
    """Ask for all of a kind; yield the type and the body of each message that answers."""
    # The body is that of a link message, of family 0: any.
    body = LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    header = MESSAGE.pack(
        MESSAGE.size + len(body), question, NLM_F_REQUEST | NLM_F_DUMP, question, 0
    )
    with calling("sendto"):
        sock.sendto(header + body, (0, 0))
    while True:
        with calling("recv"):
            messages = sock.recv(BUFFER_SIZE)
        # Many in one datagram, and in more than one if there are many interfaces.
        while messages:
            length, kind, _, _, _ = MESSAGE.unpack_from(messages)
            content = messages[MESSAGE.size : length]
            if kind == NLMSG_DONE:
                return
            if kind == NLMSG_ERROR:
                (number,) = ERROR.unpack_from(content)
                with calling("netlink"):
                    raise OSError(-number, os.strerror(-number))
            yield kind, content
            messages = messages[aligned(length) :]


def attributes(content: bytes) -> dict[int, bytes]:
    """Return the attributes at the end of a message, by their types."""
    found = {}
    while len(content) >= ATTRIBUTE.size:
        length, kind = ATTRIBUTE.unpack_from(content)
        found[kind] = content[ATTRIBUTE.size : length]
        content = content[aligned(length) :]
    return found


def aligned(length: int) -> int:
    """Everything begins at a multiple of four."""
    return (length + 3) & ~3


def read_interfaces(sock: socket.socket) -> list[Interface]:
    interfaces = []
    for kind, content in dump(sock, RTM_GETLINK):
        if kind == RTM_NEWLINK:
            _, _, index, flags, _ = LINK.unpack_from(content)
            found = attributes(content[LINK.size :])
            name = found[IFLA_IFNAME].rstrip(b"\0").decode(errors="backslashreplace")
            mtu = int.from_bytes(found[IFLA_MTU], sys.byteorder)
            interfaces.append(Interface(index, name, mtu, found.get(IFLA_ADDRESS, b""), flags))
    return sorted(interfaces)


def read_addresses(sock: socket.socket) -> dict[int, list[str]]:
    """Return the addresses as they are printed, by the index of their interface."""
    addresses: dict[int, list[str]] = {}
    for kind, content in dump(sock, RTM_GETADDR):
        if kind == RTM_NEWADDR:
            family, prefix, _, _, index = ADDRESS.unpack_from(content)
            if family not in (socket.AF_INET, socket.AF_INET6):
                continue
            found = attributes(content[ADDRESS.size :])
            # On a link to one peer IFA_ADDRESS is the peer's. IPv6 has IFA_LOCAL only there.
            own = found.get(IFA_LOCAL, found[IFA_ADDRESS])
            word = "inet" if family == socket.AF_INET else "inet6"
            addresses.setdefault(index, []).append(
                f"{word}={socket.inet_ntop(family, own)}/{prefix}"
            )
    return addresses


def main(arguments: list[str]) -> None:
    if len(arguments) > 1:
        print(USAGE, file=sys.stderr)
        sys.exit(2)
    with calling("socket"):
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    with sock:
        interfaces = read_interfaces(sock)
        addresses = read_addresses(sock)
    if arguments:
        interfaces = [one for one in interfaces if one.name == arguments[0]]
        if not interfaces:
            with calling("interface"):
                raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
    for one in interfaces:
        say(one.line())
        # IPv4 before IPv6; otherwise as the kernel has them.
        for address in sorted(addresses.get(one.index, []), key=lambda text: "inet6" in text):
            say(f"{one.name} {address}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
