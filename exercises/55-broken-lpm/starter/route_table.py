#!/usr/bin/env python3
"""Tell the next hop for an address, from a table of routes. What is wrong with it is in README.md.

usage: route_table < COMMANDS
"""

import socket
import struct
import sys
from typing import NamedTuple

# TODO: find the mistakes, and mend them. This table, for example: is it complete?
MASKS = [0xFFFFFFFF ^ (0xFFFFFFFF >> length) for length in range(1, 33)]


class RefusedError(Exception):
    """The command cannot be carried out; the text is the name of the error."""


class Route(NamedTuple):
    network: int
    length: int
    metric: int
    gateway: str
    device: str

    def __str__(self) -> str:
        address = socket.inet_ntop(socket.AF_INET, struct.pack("=I", self.network))
        return f"{address}/{self.length} {self.gateway} {self.device} {self.metric}"


def to_number(text: str) -> int:
    try:
        [number] = struct.unpack("!I", socket.inet_pton(socket.AF_INET, text))
    except (OSError, UnicodeError):
        raise RefusedError("EINVAL") from None
    return int(number)


def to_prefix(text: str) -> tuple[int, int]:
    address, _, length = text.partition("/")
    if not (length.isascii() and length.isdigit() and int(length) <= 32):
        raise RefusedError("EINVAL")
    return to_number(address), int(length)


def to_metric(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise RefusedError("EINVAL")
    return int(text)


class RouteTable:
    def __init__(self) -> None:
        self.routes: list[Route] = []
        self.answers: dict[int, Route] = {}

    def add(self, prefix: str, gateway: str, device: str, metric: str) -> None:
        network, length = to_prefix(prefix)
        if gateway != "-":
            to_number(gateway)
        # The newest comes first: it is asked for most.
        self.routes.insert(0, Route(network, length, to_metric(metric), gateway, device))

    def remove(self, prefix: str, metric: str) -> None:
        wanted = to_prefix(prefix)
        to_metric(metric)
        for route in self.routes:
            if route[:2] == wanted:
                self.routes.remove(route)
                return
        raise RefusedError("ESRCH")

    def find(self, address: int) -> Route:
        if address in self.answers:
            return self.answers[address]
        best = None
        longest = 0
        for route in self.routes:
            if address & MASKS[route.length - 1] == route.network and route.length > longest:
                longest = route.length
                best = route
        if best is None:
            raise RefusedError("ENETUNREACH")
        self.answers[address] = best
        return best


def carry_out(table: RouteTable, line: str) -> str:
    match line.split():
        case ["add", prefix, gateway, device, metric]:
            table.add(prefix, gateway, device, metric)
        case ["del", prefix, metric]:
            table.remove(prefix, metric)
        case ["get", address]:
            route = table.find(to_number(address))
            return f"{address if route.gateway == '-' else route.gateway} {route.device}"
        case ["show"]:
            return "; ".join(map(str, sorted(table.routes))) or "-"
        case _:
            raise RefusedError("EINVAL")
    return "ok"


def main() -> None:
    if len(sys.argv) > 1:
        print("usage: route_table < COMMANDS", file=sys.stderr)
        sys.exit(2)
    table = RouteTable()
    for line in sys.stdin:
        try:
            print(carry_out(table, line), flush=True)
        except RefusedError as error:
            print(f"error: {error}", flush=True)


if __name__ == "__main__":
    main()
