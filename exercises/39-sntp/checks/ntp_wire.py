"""SNTP as the checks speak it: packets, times of both clocks, and the line that the client prints."""

import re
import struct
import time
from itertools import pairwise
from typing import NamedTuple

from labctl.testing import WITHIN_S, Address, Program, Udp, expect, expect_equal, unmet, until

PORT = 1230
SERVER = ("10.0.1.1", PORT)
PACKET = struct.Struct("!BBbbiI4sQQQQ")
SECOND = 2**32
"""Of a timestamp."""

TO_1970 = 2_208_988_800
ROUNDING_US = 3
LAYOUT = "the table in README.md has every field; seconds since 1900 and a fraction of 32 bits"


def now() -> int:
    """Return the machine's clock as a timestamp; all nodes have the same."""
    seconds, ns = divmod(time.time_ns(), 10**9)
    return (seconds + TO_1970) * SECOND + ns * SECOND // 10**9


def microseconds(units: float) -> float:
    return units * 10**6 / SECOND


class Request(NamedTuple):
    """What the program has asked, and who it is."""

    first: int
    transmit: int
    sender: Address
    datagram: bytes

    def answer(self, receive: int, transmit: int, /, **fields: int | bytes) -> bytes:
        """Return a good answer, but for what ``fields`` say."""
        good: dict[str, int | bytes] = {
            "first": 0x24,
            "stratum": 1,
            "poll": 0,
            "precision": -20,
            "root_delay": 0,
            "root_dispersion": 0,
            "reference_id": b"GPS\0",
            "reference": (receive - 60 * SECOND) % 2**64,
            "originate": self.transmit,
            "receive": receive % 2**64,
            "transmit": transmit % 2**64,
        }
        return PACKET.pack(*(good | fields).values())


class Said(NamedTuple):
    """The line of a client."""

    stratum: int
    offset_us: int
    delay_us: int
    error_us: int
    time: int


def request(server: Udp) -> Request:
    datagram, sender = server.receive_from(expected="a request", hint=LAYOUT)
    expect_equal(len(datagram), 48, "bytes in the request", LAYOUT)
    first, *_, transmit = PACKET.unpack(datagram)
    return Request(first, transmit, sender, datagram)


def longest_pause_s(server: Udp, client: Program, wait_s: float) -> float:
    """Send what is no answer until the program ends; return the longest time without one."""
    asked = request(server)
    times = [asked.transmit]

    def sends_once_more() -> bool:
        server.send(bytes(47), to=asked.sender)
        times.append(now())
        return not client.is_running()

    expect(
        until(sends_once_more, wait_s + WITHIN_S),
        expected=f"the program ends {wait_s * 1000:.0f} ms after its request",
        actual=f"{wait_s + WITHIN_S:g} s later, in which short packets went on, it is running",
        hint="one deadline: each time wait for what is left of MS, also after what is no answer",
    )
    times.append(now())  # the last pause may be the one in which it has ended
    return max(after - before for before, after in pairwise(times)) / SECOND


def said(program: Program, hint: str, within_s: float = WITHIN_S) -> Said:
    """Return what the client prints, and expect that it ends well after it."""
    wanted = "sntp stratum=N offset_us=N delay_us=N error_us=N time=N"
    line = program.line(expected=wanted, hint=hint, within_s=within_s)
    match = re.fullmatch(
        r"sntp stratum=(\d+) offset_us=(-?\d+) delay_us=(-?\d+) error_us=(\d+) time=(-?\d+)", line
    )
    if not match:
        unmet(wanted, line, "whole numbers in decimal, one blank between the words")
    program.expect_exit(0, hint="one answer is enough: print it and end")
    return Said(*map(int, match.groups()))


def expect_close(actual: float, wanted: float, what: str, hint: str) -> None:
    expect(
        abs(actual - wanted) <= ROUNDING_US,
        expected=f"{what}: {wanted:.0f}, or up to {ROUNDING_US} µs beside it",
        actual=f"{what}: {actual:.0f}",
        hint=hint,
    )
