#!/usr/bin/env python3
"""Tell what has gone through a network interface since it was asked about before.

usage: ifstat [FILE]        (/proc/net/dev)

Reads the name of an interface a line and answers each with one line:

    NAME new      the first look at this interface, from which the next one counts
    NAME none     there is no interface of that name
    NAME ns=N rx_bytes=N rx_packets=N rx_bps=N tx_bytes=N tx_packets=N tx_bps=N

Everything counts from the look before: ns the time in nanoseconds, the rates in bits per second.

What it shows: the kernel counts from the moment an interface was made, and says nothing of time. A
rate is the difference of two looks divided by the time that was measured between them; and the
difference means something only while it is the same interface.
"""

import errno
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

# Behind the colon are eight numbers of what was received, then eight of what was sent.
RX_BYTES, RX_PACKETS, TX_BYTES, TX_PACKETS = 0, 1, 8, 9


class Look(NamedTuple):
    """What the kernel said of an interface, and when."""

    index: int
    time_ns: int
    rx_bytes: int
    rx_packets: int
    tx_bytes: int
    tx_packets: int


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


def index_of(name: str) -> int:
    """Return the number that no other interface of this network ever had; 0 for none."""
    try:
        return socket.if_nametoindex(name)
    except (OSError, ValueError):
        return 0


def look(name: str, file_name: str) -> Look | None:
    """Return what the kernel says of an interface now, or None where there is none."""
    index = index_of(name)
    with calling("open"), open(file_name) as file:
        lines = file.readlines()
    # Taken beside the counters, and by a clock that nobody sets.
    now_ns = time.monotonic_ns()
    for line in lines[2:]:
        # The whole name, up to the colon: veth_c1 is also the beginning of veth_c10.
        there, _, counters = line.rpartition(":")
        # The index is asked for twice: in between, the interface may have been replaced.
        if there.strip() == name and index and index == index_of(name):
            numbers = [int(word) for word in counters.split()]
            return Look(
                index,
                now_ns,
                numbers[RX_BYTES],
                numbers[RX_PACKETS],
                numbers[TX_BYTES],
                numbers[TX_PACKETS],
            )
    return None


def difference(before: Look, now: Look) -> str:
    """Return what has happened between two looks at the same interface."""
    ns = max(now.time_ns - before.time_ns, 1)
    words = [f"ns={ns}"]
    for direction in ("rx", "tx"):
        size = getattr(now, f"{direction}_bytes") - getattr(before, f"{direction}_bytes")
        count = getattr(now, f"{direction}_packets") - getattr(before, f"{direction}_packets")
        # Whole numbers: a float has 53 bits, and counters have 64.
        bps = size * 10**9 // ns
        words.append(f"{direction}_bytes={size} {direction}_packets={count} {direction}_bps={bps}")
    return " ".join(words)


def answer(name: str, looks: dict[str, Look], file_name: str) -> str:
    """Look at an interface, remember the look, and tell it from the one before."""
    before, now = looks.pop(name, None), look(name, file_name)
    if now is None:
        return "none"
    looks[name] = now
    # An interface that was deleted and made again has its name, and another index. Its counters
    # began at 0; that they are lower than before is no rule, as they may have overtaken.
    if before is None or before.index != now.index:
        return "new"
    return difference(before, now)


def main(arguments: list[str]) -> None:
    if len(arguments) > 1:
        print("usage: ifstat [FILE]", file=sys.stderr)
        sys.exit(2)
    if sys.stdin is None:  # started with `<&-`
        sys.exit("error: read: EBADF (Bad file descriptor)")
    file_name = arguments[0] if arguments else "/proc/net/dev"
    looks: dict[str, Look] = {}
    while True:
        with calling("read"):
            line = sys.stdin.buffer.readline()
        if not line:
            return
        name = line.decode("ascii", "replace").strip()
        say(f"{name} {answer(name, looks, file_name)}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
