#!/usr/bin/env python3
"""Keep routes, and find the one for an address: longest prefix first, then lowest metric.

usage: lpm < COMMANDS

Reads one command a line and answers each with one line:

    add 10.0.0.0/8 5 eth0       ok
    get 10.1.2.3                10.0.0.0/8 5 eth0
    del 10.0.0.0/8              ok
    get 10.1.2.3                error: ENETUNREACH

What it shows: a table for each length of prefix. An address is cut to 32 bits, 31, 30 … and looked
up; the first table that has it has the longest match, however many routes there are. The kernel
keeps one tree instead (net/ipv4/fib_trie.c), in which a few steps do for all lengths.
"""

import errno
import os
import socket
import sys
from bisect import insort
from collections.abc import Iterator
from contextlib import contextmanager

BITS = 32
MOST_METRIC = (1 << 32) - 1


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


def parse_address(text: str) -> int:
    """Return an address as a number, its first byte the most significant."""
    try:
        return int.from_bytes(socket.inet_pton(socket.AF_INET, text), "big")
    except (OSError, UnicodeError):
        raise RefusedError("EINVAL") from None


def parse_number(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= most):
        raise RefusedError("EINVAL")
    return int(text)


def mask(length: int) -> int:
    """Return so many ones, then zeros. In C, a shift of 32 bits by 32 is undefined: beware of /0."""
    return (0xFFFFFFFF << (BITS - length)) & 0xFFFFFFFF


def parse_prefix(text: str) -> tuple[int, int]:
    """Return network and length."""
    address, slash, digits = text.partition("/")
    network, length = parse_address(address), parse_number(digits, BITS)
    # With bits behind the mask no address could ever match; the kernel refuses it as well.
    if not slash or network & ~mask(length):
        raise RefusedError("EINVAL")
    return network, length


class Table:
    """Routes by length, then by network; those to the same network in the order of metric."""

    def __init__(self) -> None:
        self.by_length: list[dict[int, list[tuple[int, str]]]] = [{} for _ in range(BITS + 1)]

    def add(self, prefix: tuple[int, int], metric: int, hop: str) -> None:
        network, length = prefix
        routes = self.by_length[length].setdefault(network, [])
        if any(metric == other for other, _ in routes):
            raise RefusedError("EEXIST")
        insort(routes, (metric, hop))

    def remove(self, prefix: tuple[int, int], metric: int | None) -> None:
        """Remove the route of that metric, or the best one."""
        network, length = prefix
        routes = self.by_length[length].get(network, [])
        for route in reversed(routes):
            if metric in (None, route[0]):
                routes.remove(route)
                break
        else:
            raise RefusedError("ESRCH")
        if not routes:
            del self.by_length[length][network]  # an empty list would still be a match

    def find(self, address: int) -> str:
        for length in range(BITS, -1, -1):
            network = address & mask(length)
            routes = self.by_length[length].get(network)
            if routes:
                metric, hop = routes[0]
                text = socket.inet_ntop(socket.AF_INET, network.to_bytes(4, "big"))
                return f"{text}/{length} {metric} {hop}"
        raise RefusedError("ENETUNREACH")


def carry_out(table: Table, line: str) -> str:
    match line.split():
        case ["add", prefix, metric, hop]:
            table.add(parse_prefix(prefix), parse_number(metric, MOST_METRIC), hop)
        case ["del", prefix]:
            table.remove(parse_prefix(prefix), None)
        case ["del", prefix, metric]:
            table.remove(parse_prefix(prefix), parse_number(metric, MOST_METRIC))
        case ["get", address]:
            return table.find(parse_address(address))
        case _:
            raise RefusedError("EINVAL")
    return "ok"


def main(arguments: list[str]) -> None:
    if arguments:
        print("usage: lpm < COMMANDS", file=sys.stderr)
        sys.exit(2)
    if sys.stdin is None:  # started with `<&-`
        sys.exit("error: read: EBADF (Bad file descriptor)")
    table = Table()
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
