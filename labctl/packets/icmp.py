"""What an ICMP or ICMPv6 message says, in the words of ping(8) and tcpdump(8)."""

from ipaddress import IPv6Address

_WITH_NUMBERS = {0: "echo reply", 8: "echo request"}
_V6_WITH_NUMBERS = {128: "echo request", 129: "echo reply"}
_V6_ABOUT_ADDRESS = {135: "neighbour solicitation for", 136: "neighbour advertisement of"}

_TYPES = {
    4: "source quench",
    5: "redirect",
    9: "router advertisement",
    10: "router solicitation",
    11: "time exceeded",
    12: "parameter problem",
    13: "timestamp request",
    14: "timestamp reply",
}
_V6_TYPES = {
    2: "packet too big",
    3: "time exceeded",
    4: "parameter problem",
    130: "multicast listener query",
    131: "multicast listener report",
    132: "multicast listener done",
    133: "router solicitation",
    134: "router advertisement",
    137: "redirect",
    143: "multicast listener report",
}
_UNREACHABLE = {
    0: "network unreachable",
    1: "host unreachable",
    2: "protocol unreachable",
    3: "port unreachable",
    4: "fragmentation needed",
    5: "source route failed",
    9: "network prohibited",
    10: "host prohibited",
    13: "filtered",
}
_V6_UNREACHABLE = {
    0: "no route",
    1: "filtered",
    2: "beyond scope",
    3: "address unreachable",
    4: "port unreachable",
}
_ERRORS = frozenset((3, 4, 5, 11, 12))


def is_error(kind: int, *, is_ipv6: bool) -> bool:
    """Whether messages of this type carry the packet that they are about."""
    return kind < 128 if is_ipv6 else kind in _ERRORS


def describe(message: bytes, *, is_ipv6: bool) -> str:
    """Return what a message of at least eight bytes says."""
    kind, code = message[0], message[1]
    echo = (_V6_WITH_NUMBERS if is_ipv6 else _WITH_NUMBERS).get(kind)
    if echo:
        identifier = int.from_bytes(message[4:6], "big")
        return f"{echo} id {identifier} seq {int.from_bytes(message[6:8], 'big')}"
    if kind == (1 if is_ipv6 else 3):
        texts = _V6_UNREACHABLE if is_ipv6 else _UNREACHABLE
        return texts.get(code, f"unreachable (code {code})")
    about = _V6_ABOUT_ADDRESS.get(kind) if is_ipv6 else None
    if about and len(message) >= 24:
        return f"{about} {IPv6Address(message[8:24])}"
    return (_V6_TYPES if is_ipv6 else _TYPES).get(kind, f"type {kind} code {code}")
