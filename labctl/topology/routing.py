"""Where a node sends what is not for its neighbours: gateways and static routes, checked."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

from labctl.topology.addressing import (
    Address,
    Network,
    Placed,
    Plan,
    address_list,
    parsed_address,
    parsed_network,
)
from labctl.topology.model import Route
from labctl.topology.problems import Loc, Problems
from labctl.topology.schema import NodeShape
from labctl.topology.words import listed, quoted

_TITLES = {4: "IPv4", 6: "IPv6"}
_EVERYWHERE: dict[int, Network] = {4: IPv4Network("0.0.0.0/0"), 6: IPv6Network("::/0")}


class _Wanted(NamedTuple):
    """A route as written, once its addresses are understood."""

    to: Network | None
    """None for the default route."""
    via: Address
    loc: Loc
    via_loc: Loc
    word: str


class Router:
    """Resolves the routes of one node after the other, knowing all addresses of the lab."""

    def __init__(self, plan: Plan, problems: Problems) -> None:
        self._problems = problems
        self._maimed = plan.maimed
        self._of_node: dict[str, list[Placed]] = {}
        self._of_segment: dict[int, dict[Address, Placed]] = {}
        for one in plan.placed:
            self._of_node.setdefault(one.end.node, []).append(one)
            self._of_segment.setdefault(one.wire.segment, {})[one.interface.ip] = one

    def routes(self, name: str, node: NodeShape) -> tuple[Route, ...]:
        """Return the node's routes, the gateways first."""
        if node.kind == "bridge":
            for key in ("gateway", "routes"):
                if getattr(node, key):
                    self._problems.add(
                        ("nodes", name, key),
                        f"the bridge {quoted(name)} has `{key}`, but it has no addresses",
                        "leave it out, or make the node a router",
                        of_key=True,
                    )
            return ()
        wanted = [*self._gateways(name, node), *self._routes(name, node)]
        lines: dict[str, int] = {}
        for one in wanted:
            line = self._problems.line(one.loc)
            title = _TITLES[one.via.version]
            what = f"route to {one.to}" if one.to else f"{title} default route"
            if what in lines:
                self._problems.add(
                    one.loc,
                    f"node {quoted(name)} has a second {what}; the first is in line {lines[what]}",
                    "leave one of them out",
                )
            lines.setdefault(what, line)
            self._check_via(name, one)
        return tuple(Route(str(one.to or "default"), str(one.via)) for one in wanted)

    def _gateways(self, name: str, node: NodeShape) -> Iterable[_Wanted]:
        base: Loc = ("nodes", name, "gateway")
        for position, text in enumerate(node.gateway):
            loc = (*base, position)
            if (via := self._via(text, loc, "gateway")) is not None:
                yield _Wanted(None, via, loc, loc, "gateway")

    def _routes(self, name: str, node: NodeShape) -> Iterable[_Wanted]:
        for position, route in enumerate(node.routes):
            loc: Loc = ("nodes", name, "routes", position)
            via = self._via(route.via, (*loc, "via"), "next hop")
            to = self._to(route.to, (*loc, "to"), via)
            if via is None or to is None:
                continue
            if own := self._connected(name, to):
                self._problems.add(
                    loc,
                    f"node {quoted(name)} is in {to} itself, with its address {own.interface.ip}",
                    "leave the route out",
                )
                continue
            yield _Wanted(to if to.prefixlen else None, via, loc, (*loc, "via"), "next hop")

    def _to(self, text: str, loc: Loc, via: Address | None) -> Network | None:
        """Return the destination, if it is one; the default one is that of all addresses."""
        if text == "default":
            return _EVERYWHERE[via.version if via else 4]
        network = parsed_network(text)
        if network is None:
            fault = f"{quoted(text)} is not a destination"
            hint = "write `default`, or a subnet such as 10.0.2.0/24"
        elif parsed_address(text.partition("/")[0]) != network.network_address:
            fault = f"{quoted(text)} is an address in a subnet"
            hint = f"the subnet is {network}"
        elif via is not None and via.version != network.version:
            title = _TITLES[via.version]
            fault = f"a route to {quoted(text)} cannot go by the {title} address {via}"
            hint = f"`via` must be an {_TITLES[network.version]} address"
        elif network.is_multicast or network.is_loopback:
            fault = f"nothing can be routed to {quoted(text)}"
            hint = "leave the route out"
        else:
            return network
        self._problems.add(loc, fault, hint)
        return None

    def _via(self, text: str, loc: Loc, word: str) -> Address | None:
        address = parsed_address(text)
        if address is None:
            bare = text.partition("/")[0]
            self._problems.add(
                loc,
                f"the {word} {quoted(text)} is not an address",
                f"write {bare}, without the prefix length" if parsed_address(bare) else "",
            )
        return address

    def _connected(self, name: str, network: Network) -> Placed | None:
        return next(
            (one for one in self._of_node.get(name, ()) if one.interface.network == network), None
        )

    def _check_via(self, name: str, wanted: _Wanted) -> None:
        via = wanted.via
        own = [one for one in self._of_node.get(name, ()) if one.interface.version == via.version]
        if any(one.interface.ip == via for one in own):
            self._problems.add(
                wanted.via_loc,
                f"the {wanted.word} {quoted(via)} is an address of node {quoted(name)} itself",
                "name the address of the next node on the way",
            )
            return
        if name in self._maimed:
            # What is wrong with the addresses has been said; what follows from it need not be.
            return
        near = [one for one in own if via in one.interface.network]
        if not near:
            subnets = listed(dict.fromkeys(str(one.interface.network) for one in own))
            title = _TITLES[via.version]
            self._problems.add(
                wanted.via_loc,
                f"the {wanted.word} {quoted(via)} is outside the subnets of node {quoted(name)}",
                f"they are: {subnets}" if subnets else f"the node has no {title} address",
            )
            return
        neighbours = self._of_segment[near[0].wire.segment]
        if via not in neighbours:
            others = [
                one
                for one in neighbours.values()
                if one.end.node != name and one.interface.version == via.version
            ]
            self._problems.add(
                wanted.via_loc,
                f"no node has the {wanted.word} {quoted(via)} of node {quoted(name)}",
                f"there: {address_list(others)}" if others else "no other node is there",
            )
