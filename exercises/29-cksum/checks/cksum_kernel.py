"""A kernel that gets packets, and what it counts of those that it drops."""

import itertools
import socket
from collections.abc import Callable

from cksum_packets import Ends

from labctl.testing import Lab


def sender(lab: Lab, ends: Ends) -> Callable[[bytes], object]:
    """Return what sends a packet from client1 to the server, with an Ethernet header before it."""
    # A socket that is bound to an interface has its Ethernet address in its name.
    with lab["server"].socket(socket.AF_PACKET, socket.SOCK_DGRAM) as there:
        there.bind(("veth_srv_c1", 0))
        mac = there.getsockname()[4]
    sock = lab["client1"].socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    kind = 0x86DD if ends.is_ipv6 else 0x0800
    return lambda data: sock.sendto(data, ("veth_c1", kind, 0, 0, mac))


def counter(lab: Lab, name: str) -> int:
    """Return a counter of the server's kernel, by the name that nstat has for it."""
    said = lab["server"].run("cat", "/proc/net/snmp", "/proc/net/snmp6").stdout.decode()
    lines = [line.split() for line in said.splitlines()]
    found: dict[str, int] = {}
    for first, second in itertools.pairwise(lines):
        if first[0].endswith(":") and first[0] == second[0] and second[1].lstrip("-").isdigit():
            found |= {
                first[0][:-1] + key: int(value)
                for key, value in zip(first[1:], second[1:], strict=True)
            }
    found |= {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}
    return found[name]
