"""What the kernel says of a node's interfaces, and what a program printed, in the same words."""

import fcntl
import json
import socket
import struct
from typing import NamedTuple

from labctl.testing import (
    WITHIN_S,
    Ended,
    Lab,
    Node,
    Submission,
    expect_equal,
    machine_error,
    unmet,
    until,
)

_SIOCGIFFLAGS = 0x8913

# In the order of the bits (net/if.h).
_FLAGS = {
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
    """An interface as it should be printed."""

    name: str
    line: str
    addresses: tuple[str, ...]
    """As lines, sorted: their order is not looked at."""


def change(lab: Lab, node: str, *words: str) -> None:
    """Change the node's interfaces by ip(8)."""
    ended = lab[node].run("ip", *words)
    if ended.exit_status:
        said = ended.stderr.decode().strip()
        raise machine_error(f"`ip {' '.join(words)}` in {node}: {said}", where="check")


def flags(node: Node, name: str) -> set[str]:
    """Return the flags that the kernel tells by ioctl."""
    with node.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock, _SIOCGIFFLAGS, struct.pack("16s24x", name.encode()))
    (bits,) = struct.unpack_from("=H", answer, 16)
    return {word for bit, word in _FLAGS.items() if bits & bit}


def wait_for_carriers(node: Node) -> None:
    """Wait until what is UP is RUNNING, which the kernel says a moment after its lab is there."""

    def are_there() -> bool:
        each = [flags(node, link.name) for link in truth(node)]
        return all("RUNNING" in one for one in each if "UP" in one)

    until(are_there, WITHIN_S)


def truth(node: Node) -> list[Interface]:
    """Return the node's interfaces, in the order of their indexes."""
    told = json.loads(node.run("ip", "-j", "address", "show").stdout)
    found = []
    for link in sorted(told, key=lambda link: int(link["ifindex"])):
        name = link["ifname"]
        mac = link.get("address", "")
        set_now = flags(node, name)
        words = ",".join(word for word in _FLAGS.values() if word in set_now)
        line = (
            f"{name} index={link['ifindex']} mtu={link['mtu']} "
            f"mac={mac if len(mac) == 17 else '-'} flags={words or '-'}"
        )
        addresses = [
            f"{name} {each['family']}={each['local']}/{each['prefixlen']}"
            for each in link["addr_info"]
        ]
        found.append(Interface(name, line, tuple(sorted(addresses))))
    return found


def shown(ended: Ended, hint: str) -> list[Interface]:
    """Return what a program has printed: a line for an interface, then its addresses."""
    if ended.exit_status:
        said = ended.stderr.decode(errors="backslashreplace").strip().splitlines()
        unmet("exit status 0", f"{ended.exit_status}; stderr: {said[-1] if said else ''}", hint)
    found: list[Interface] = []
    for line in ended.stdout.decode(errors="backslashreplace").splitlines():
        name, _, rest = line.partition(" ")
        if rest.startswith("index="):
            found.append(Interface(name, line, ()))
        elif found and name == found[-1].name:
            last = found[-1]
            found[-1] = last._replace(addresses=tuple(sorted((*last.addresses, line))))
        else:
            unmet("a line `NAME index=…` before those of its addresses", f"the line `{line}`", hint)
    return found


def printed_and_true(
    lab: Lab, submission: Submission, node: str, hint: str, name: str = ""
) -> list[tuple[Interface, Interface]]:
    """Run the program; return each interface, or the one of that name, as printed and as it is."""
    # The kernel may change something of its own while the program runs, such as a link-local
    # address: then again.
    for _ in range(20):
        before = truth(lab[node])
        ended = submission.run(node, "ifinfo", *([name] if name else []))
        if truth(lab[node]) == before:
            break
    else:
        raise machine_error("the interfaces do not come to rest", where="check")
    printed = shown(ended, hint)
    wanted = [one for one in before if one.name == name or not name]
    expect_equal(
        " ".join(one.name for one in printed),
        " ".join(one.name for one in wanted),
        "the interfaces, in the order of their indexes",
        hint,
    )
    return list(zip(printed, wanted, strict=True))
