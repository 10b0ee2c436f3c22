#!/usr/bin/env python3
"""Tell the next hop for an address, from a table of routes.

usage: route_table < COMMANDS

    add 0.0.0.0/0 192.168.1.1 eth0 100       ok
    add 192.168.1.0/24 - eth0 0              ok
    get 8.8.8.8                              192.168.1.1 eth0
    get 192.168.1.7                          192.168.1.7 eth0

What it shows: the mistakes were where nobody looks. "No match yet" and "a match of length 0" were
the same number; -1 was an index; a number in the machine's byte order looked right until it was
printed; an answer was kept after the question had changed.
"""

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

# One for each length from 0 to 32, so that MASKS[length] needs no arithmetic. Without the one for
# 0, MASKS[length - 1] is MASKS[-1] for the default route: the mask of a single host. In C it is
# 0xffffffff << 32 that gives the same surprise on many machines.
MASKS = [0xFFFFFFFF ^ (0xFFFFFFFF >> length) for length in range(1, 33)]


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
    with calling("write"):
        os.write(-1 if sys.stdout is None else 1, f"{line}\n".encode())


class RefusedError(Exception):
    """The command cannot be carried out; the text is the name of the error."""


class Route(NamedTuple):
    """A route, in the order in which `show` sorts them."""

    network: int
    length: int
    metric: int
    gateway: str
    device: str

    def __str__(self) -> str:
        prefix = f"{to_text(self.network)}/{self.length}"
        return f"{prefix} {self.gateway} {self.device} {self.metric}"


def to_number(text: str) -> int:
    """Return an address as a number, its first byte the most significant ("!": network order)."""
    try:
        [number] = struct.unpack("!I", socket.inet_pton(socket.AF_INET, text))
    except (OSError, UnicodeError):
        raise RefusedError("EINVAL") from None
    return int(number)


def to_text(number: int) -> str:
    return socket.inet_ntop(socket.AF_INET, struct.pack("!I", number))


def to_prefix(text: str) -> tuple[int, int]:
    address, _, digits = text.partition("/")
    if not (digits.isascii() and digits.isdigit() and int(digits) <= 32):
        raise RefusedError("EINVAL")
    network, length = to_number(address), int(digits)
    # Bits behind the mask are zero in everything that is compared with it: it would never match.
    if network & ~MASKS[length - 1]:
        raise RefusedError("EINVAL")
    return network, length


def to_metric(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise RefusedError("EINVAL")
    return int(text)


class RouteTable:
    """Routes, and the answers that were given with them."""

    def __init__(self) -> None:
        self.routes: list[Route] = []
        self.answers: dict[int, Route] = {}

    def add(self, prefix: str, gateway: str, device: str, metric: str) -> None:
        network, length = to_prefix(prefix)
        if gateway != "-":
            to_number(gateway)
        self.routes.append(Route(network, length, to_metric(metric), gateway, device))
        # Any answer may be another one now. Which ones is more work to find out than to look again.
        self.answers.clear()

    def remove(self, prefix: str, metric: str) -> None:
        wanted = (*to_prefix(prefix), to_metric(metric))
        for route in self.routes:
            if route[:3] == wanted:
                self.routes.remove(route)
                self.answers.clear()
                return
        raise RefusedError("ESRCH")

    def find(self, address: int) -> Route:
        """Return the best route: the longest, and of several the one with the lowest metric."""
        if address in self.answers:
            return self.answers[address]
        best: Route | None = None  # not "length 0": that is a length, too
        for route in self.routes:
            if address & MASKS[route.length - 1] == route.network and (
                best is None or (route.length, -route.metric) > (best.length, -best.metric)
            ):
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
            # Without a gateway the destination is on the link itself.
            return f"{address if route.gateway == '-' else route.gateway} {route.device}"
        case ["show"]:
            return "; ".join(map(str, sorted(table.routes))) or "-"
        case _:
            raise RefusedError("EINVAL")
    return "ok"


def main(arguments: list[str]) -> None:
    if arguments:
        print("usage: route_table < COMMANDS", file=sys.stderr)
        sys.exit(2)
    if sys.stdin is None:  # started with `<&-`
        sys.exit("error: read: EBADF (Bad file descriptor)")
    table = RouteTable()
    for line in sys.stdin:
        try:
            say(carry_out(table, line))
        except RefusedError as error:
            say(f"error: {error}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
