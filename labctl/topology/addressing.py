"""Which address each end of a link has: parsed, numbered from subnets, checked for the lab."""

from collections.abc import Iterator
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Literal, NamedTuple

from labctl.topology.problems import Loc, Problems
from labctl.topology.wiring import End, Wire
from labctl.topology.words import listed, quoted

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network
Family = Literal["ipv4", "ipv6"]

FAMILIES: tuple[Family, Family] = ("ipv4", "ipv6")
_VERSIONS = {"ipv4": 4, "ipv6": 6}
_TITLES = {4: "IPv4", 6: "IPv6"}
_WIDTHS = {4: 32, 6: 128}
_EXAMPLES = {"ipv4": "10.0.1.1/24", "ipv6": "fd00:1::1/64"}


class Placed(NamedTuple):
    """An address at an end of a link."""

    interface: Interface
    end: End
    wire: Wire
    line: int


class Plan(NamedTuple):
    """All addresses of a lab, and the ends where a problem leaves some of them unknown."""

    placed: list[Placed]
    maimed: set[str]
    """Nodes of which not every address is known."""


def assign_addresses(wires: list[Wire], problems: Problems) -> Plan:
    """Return every address of every end, IPv4 before IPv6, after checking them all together."""
    placed: list[Placed] = []
    lost: set[int] = set()
    for family in FAMILIES:
        numbering = _Numbering(family, wires, problems)
        for wire in wires:
            before = len(problems)
            placed += numbering.of_link(wire)
            if len(problems) > before:
                lost.add(wire.segment)
    _check_together(placed, problems)
    maimed = {end.node for wire in wires if wire.segment in lost for end in wire.ends}
    return Plan(placed, maimed)


class _Numbering:
    """Hands out the addresses of one family, link by link."""

    def __init__(self, family: Family, wires: list[Wire], problems: Problems) -> None:
        self._family = family
        self._problems = problems
        self._free: dict[tuple[int, Network], Iterator[int]] = {}
        self._written = {
            (wire.segment, text.partition("/")[0])
            for wire in wires
            if not isinstance(pair := getattr(wire.shape, family), str)
            for text in pair
            if text is not None
        }

    def of_link(self, wire: Wire) -> list[Placed]:
        """Return the addresses of a link's two ends."""
        written = getattr(wire.shape, self._family)
        loc: Loc = ("links", wire.number, self._family)
        if isinstance(written, str):
            return self._numbered(wire, written, loc)
        if len(written) == 1:
            return self._single(wire, written[0], loc)
        placed = []
        for side, (end, text) in enumerate(zip(wire.ends, written, strict=False)):
            if text is None:
                continue
            if end.is_bridge:
                self._refuse_bridge(end, text, (*loc, side))
            elif interface := self._parsed(text, (*loc, side)):
                placed.append(Placed(interface, end, wire, self._problems.line((*loc, side))))
        return placed

    def _single(self, wire: Wire, text: str | None, loc: Loc) -> list[Placed]:
        """One address is enough where a bridge takes the other end."""
        hosts = [end for end in wire.ends if not end.is_bridge]
        if not hosts and text is not None:
            self._refuse_bridge(wire.ends[0], text, (*loc, 0))
        elif len(hosts) > 1:
            self._problems.add(
                loc,
                f"link {wire.number + 1} has two ends and one {_TITLES[self._version]} address",
                "give a pair; null stands for an end without an address",
            )
        elif text is not None and (interface := self._parsed(text, (*loc, 0))):
            return [Placed(interface, hosts[0], wire, self._problems.line((*loc, 0)))]
        return []

    def _refuse_bridge(self, end: End, text: str, loc: Loc) -> None:
        self._problems.add(
            loc,
            f"{quoted(text)} is for the bridge {quoted(end.node)}, which has no addresses",
            "give one address, for the other end",
        )

    @property
    def _version(self) -> int:
        return _VERSIONS[self._family]

    def _numbered(self, wire: Wire, text: str, loc: Loc) -> list[Placed]:
        network = self._network(text, loc)
        if network is None:
            return []
        free = self._free.setdefault((wire.segment, network), _hosts(network))
        placed = []
        for end in wire.ends:
            if end.is_bridge:
                continue
            for number in free:
                address = network[number]
                if (wire.segment, str(address)) not in self._written:
                    break
            else:
                self._problems.add(
                    loc,
                    f"the subnet {quoted(text)} has no address left for node {quoted(end.node)}",
                    f"take a larger one, such as {network.supernet()}"
                    if network.prefixlen > 1
                    else "",
                )
                return []
            interface = ip_interface(f"{address}/{network.prefixlen}")
            placed.append(Placed(interface, end, wire, self._problems.line(loc)))
        return placed

    def _network(self, text: str, loc: Loc) -> Network | None:
        interface = self._interface(text, loc, what="subnet")
        if interface is None:
            return None
        if interface.ip != interface.network.network_address:
            self._problems.add(
                loc,
                f"{quoted(text)} is an address, not a subnet",
                f"the subnet is {interface.network}; for given addresses write a pair",
            )
            return None
        if fault := _unusable(interface.network[-1]) or _unusable(interface.network[0], 1):
            self._problems.add(loc, f"{quoted(text)} cannot be the subnet of a link: {fault}")
            return None
        return interface.network

    def _parsed(self, text: str, loc: Loc) -> Interface | None:
        interface = self._interface(text, loc, what="address")
        if interface is None:
            return None
        network = interface.network
        fault = _unusable(interface.ip)
        hint = ""
        if not fault and isinstance(network, IPv4Network) and network.prefixlen < 31:
            first, last = network[1], network[-2]
            hint = f"the addresses of {network} are {first} to {last}"
            if interface.ip == network.network_address:
                fault = f"it is the address of the subnet {network} itself"
            elif interface.ip == network.broadcast_address:
                fault = f"it is the broadcast address of {network}"
        if fault:
            self._problems.add(loc, f"no interface can have {quoted(text)}: {fault}", hint)
            return None
        return interface

    def _interface(self, text: str, loc: Loc, *, what: str) -> Interface | None:
        """Return address and prefix length, if the text is both, and of this family."""
        title = _TITLES[self._version]
        example = _EXAMPLES[self._family]
        ip_text, slash, length_text = text.partition("/")
        address = parsed_address(ip_text)
        if address is None:
            self._problems.add(
                loc, f"{quoted(text)} is not an {title} {what}", f"write it as {example}"
            )
            return None
        if address.version != self._version:
            other = FAMILIES[self._family == "ipv4"]
            self._problems.add(
                loc,
                f"{quoted(text)} is an {_TITLES[address.version]} {what} under `{self._family}`",
                f"move it to `{other}`",
            )
            return None
        width = _WIDTHS[self._version]
        if not slash:
            self._problems.add(
                loc, f"{quoted(text)} has no prefix length", f"write it as {example}"
            )
            return None
        if not is_prefix_length(length_text, width) or int(length_text) == 0:
            self._problems.add(
                loc,
                f"the prefix length of {quoted(text)} is not a number from 1 to {width}",
                f"write it as {example}",
            )
            return None
        return ip_interface(text)


def is_prefix_length(text: str, width: int) -> bool:
    """Whether the text is a prefix length of addresses of that many bits."""
    return text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= width


def parsed_address(text: str) -> Address | None:
    """Return the address, or None where the text is not one, or names an interface besides."""
    try:
        return None if "%" in text else ip_address(text)
    except ValueError:
        return None


def _unusable(address: Address, offset: int = 0) -> str:
    """Return why no interface can have this address (or the one ``offset`` after it), or nothing."""
    address += offset if int(address) + offset < 2**address.max_prefixlen else 0
    if address.is_multicast:
        return "it is a multicast address"
    if address.is_loopback:
        return "it belongs to the loopback interface of every node"
    if address.is_unspecified:
        return "it means no address"
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return "it is an IPv4 address in IPv6 notation"
        if address.is_link_local:
            return "every interface makes its link-local addresses itself"
    elif int(address) >> 24 == 0:
        return "addresses that start with 0 stand for an unknown network"
    elif int(address) == 0xFFFFFFFF:
        return "it is the broadcast address of every network"
    return ""


def _hosts(network: Network) -> Iterator[int]:
    """Yield the place of each host address in the network."""
    size = network.num_addresses
    if size <= 2:
        yield from range(size)
    elif network.version == 4:
        yield from range(1, size - 1)
    else:
        # The first address of an IPv6 subnet is that of any of its routers (RFC 4291, 2.6.1).
        yield from range(1, size)


def _check_together(placed: list[Placed], problems: Problems) -> None:
    """Refuse addresses that stand twice, and subnets that do not keep to their segment."""
    seen: dict[Address, Placed] = {}
    first: dict[tuple[int, int], Placed] = {}
    quarrels: set[tuple[int, int]] = set()
    for here in placed:
        before = seen.setdefault(here.interface.ip, here)
        if before is not here:
            quarrels.add((before.wire.segment, here.wire.segment))
            problems.add_at_line(
                here.line,
                f"{here.end.node}:{here.end.interface} has the address {here.interface.ip} of "
                f"{before.end.node}:{before.end.interface} in line {before.line}",
                "an address belongs to one interface of the lab",
            )
        other = first.setdefault((here.wire.segment, here.interface.version), here)
        if other.interface.network != here.interface.network:
            problems.add_at_line(
                here.line,
                f"{here.end.node}:{here.end.interface} is in {here.interface.network}, and "
                f"{other.end.node}:{other.end.interface} on the same wire in "
                f"{other.interface.network} (line {other.line})",
                "the ends of a link, and all that a bridge joins, share one subnet",
            )
    _check_overlaps(list(first.values()), quarrels, problems)


def _check_overlaps(
    segments: list[Placed], reported: set[tuple[int, int]], problems: Problems
) -> None:
    """Of two subnets that overlap, the larger one sorts first and is still open."""
    ordered = sorted(
        segments,
        key=lambda one: (
            one.interface.version,
            int(one.interface.network.network_address),
            one.interface.network.prefixlen,
        ),
    )
    around: Placed | None = None
    for inner in ordered:
        network = inner.interface.network
        if (
            around is None
            or around.interface.version != network.version
            or int(network.network_address) > int(around.interface.network.broadcast_address)
        ):
            around = inner
            continue
        earlier, later = sorted((around, inner), key=lambda one: (one.wire.number, one.line))
        if (earlier.wire.segment, later.wire.segment) not in reported:
            problems.add_at_line(
                later.line,
                f"the subnet {later.interface.network} of link {later.wire.number + 1} overlaps "
                f"{earlier.interface.network} of link {earlier.wire.number + 1} "
                f"(line {earlier.line})",
                "each link needs a subnet of its own; bridges join links to one segment",
            )


def address_list(addresses: list[Placed]) -> str:
    """Return who has which address, for a hint."""
    return listed(f"{one.end.node} has {one.interface.ip}" for one in addresses)


def parsed_network(text: str) -> Network | None:
    """Return the subnet or single address; None where it is neither."""
    ip_text, slash, length_text = text.partition("/")
    address = parsed_address(ip_text)
    if address is None or (slash and not is_prefix_length(length_text, address.max_prefixlen)):
        return None
    return ip_network(text, strict=False)
