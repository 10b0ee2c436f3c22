#!/usr/bin/env python3
"""Route multicast: forward what is asked for to where it is asked for. Given, to try the task by hand.

usage: mroute INTERFACE…

Run it in the router's node, as root: the tables of the kernel are made with options of a raw IGMP
socket, for which one needs CAP_NET_RAW. On that socket come the reports of hosts, and, for each flow
that the tables do not know yet, a note of the kernel's that begins like an IP header.
"""

import socket
import struct
import sys

# From <linux/mroute.h> and <linux/in.h>.
MRT_INIT, MRT_ADD_VIF, MRT_ADD_MFC = 200, 202, 204
VIFF_USE_IFINDEX = 8
NOCACHE = 1
IP_PKTINFO = 8
REPORTS = socket.inet_aton("224.0.0.22")
INCLUDE, EXCLUDE, TO_INCLUDE, TO_EXCLUDE, ALLOW, BLOCK = range(1, 7)


class Router:
    """Who asked for what, which flows there are, and the kernel's tables."""

    def __init__(self, names: list[str]) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
        self.sock.setsockopt(socket.IPPROTO_IP, MRT_INIT, 1)
        self.sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        self.indices = [socket.if_nametoindex(name) for name in names]
        for vif, index in enumerate(self.indices):
            value = struct.pack("@HBBIi4s", vif, VIFF_USE_IFINDEX, 1, 0, index, bytes(4))
            self.sock.setsockopt(socket.IPPROTO_IP, MRT_ADD_VIF, value)
            # Reports go to this group, and to no router that is not in it.
            member = struct.pack("@4s4si", REPORTS, bytes(4), index)
            self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        # By interface and group: whether the sources are those that are wanted, and the sources.
        self.asked: dict[tuple[int, bytes], tuple[bool, set[bytes]]] = {}
        self.flows: dict[tuple[bytes, bytes], int] = {}  # source, group: where it comes in

    def receive(self) -> None:
        packet, notes, _, _ = self.sock.recvmsg(2048, 256)
        if packet[9] == 0:  # no protocol has this number: a note of the kernel's
            if packet[8] == NOCACHE:
                self.flows[packet[12:16], packet[16:20]] = packet[10]
        else:
            message = packet[4 * (packet[0] & 15) :]
            indices = [
                struct.unpack("@i8x", data)[0] for _, kind, data in notes if kind == IP_PKTINFO
            ]
            if message[0] != 0x22 or not indices or indices[0] not in self.indices:
                return
            self.report(self.indices.index(indices[0]), message)
        for (source, group), vif in self.flows.items():
            self.route(source, group, vif)

    def report(self, vif: int, message: bytes) -> None:
        """Read an IGMPv3 report (RFC 3376, 6.4)."""
        at = 8
        for _ in range(int.from_bytes(message[6:8], "big")):
            kind, auxiliary, count = struct.unpack_from("!BBH", message, at)
            group, *sources = (message[i : i + 4] for i in range(at + 4, at + 8 + 4 * count, 4))
            includes, named = self.asked.get((vif, group), (True, set()))
            if kind in (INCLUDE, TO_INCLUDE, EXCLUDE, TO_EXCLUDE):
                includes, named = kind in (INCLUDE, TO_INCLUDE), set(sources)
            elif (kind == ALLOW) == includes:
                named = named | set(sources)
            else:
                named = named - set(sources)
            self.asked[vif, group] = includes, named
            at += 8 + 4 * (count + auxiliary)

    def route(self, source: bytes, group: bytes, vif: int) -> None:
        """Have the kernel forward a flow to all interfaces where somebody wants it."""
        least_ttls = bytearray(32)  # 0: not there
        for out in range(len(self.indices)):
            includes, named = self.asked.get((out, group), (True, set()))
            if out != vif and (source in named) == includes:
                least_ttls[out] = 1
        value = struct.pack("@4s4sH32s2xIIIi", source, group, vif, bytes(least_ttls), 0, 0, 0, 0)
        self.sock.setsockopt(socket.IPPROTO_IP, MRT_ADD_MFC, value)
        names = [str(out) for out, ttl in enumerate(least_ttls) if ttl]
        flow = f"{socket.inet_ntoa(source)} > {socket.inet_ntoa(group)}"
        print(f"{flow}: from {vif} to {' '.join(names) or 'nobody'}", flush=True)


def main() -> None:
    if len(sys.argv) < 2:
        print("usage: mroute INTERFACE…", file=sys.stderr)
        sys.exit(2)
    try:
        router = Router(sys.argv[1:])
    except OSError as error:
        sys.exit(f"error: {error.strerror}")
    print("READY", flush=True)
    while True:
        router.receive()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
