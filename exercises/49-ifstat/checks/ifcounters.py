"""What the kernel counts in the node of a program, read before and after the program looks."""

import re
import time
from pathlib import Path
from typing import NamedTuple

from labctl.testing import WITHIN_S, Program, Unmet, expect, unmet, until

FIELDS = ("rx_bytes", "rx_packets", "tx_bytes", "tx_packets")
_ANSWER = re.compile(
    r"(\S+) ns=(\d+) rx_bytes=(\d+) rx_packets=(\d+) rx_bps=(\d+)"
    r" tx_bytes=(\d+) tx_packets=(\d+) tx_bps=(\d+)"
)

FORM = "NAME ns=… rx_bytes=… rx_packets=… rx_bps=… tx_bytes=… tx_packets=… tx_bps=…"


class Moment(NamedTuple):
    """The kernel's counters of one interface, and the time."""

    time_ns: int
    counters: dict[str, int]


class Look(NamedTuple):
    """The program has looked between these two moments."""

    before: Moment
    after: Moment


class Said(NamedTuple):
    """A line of the program with numbers."""

    ns: int
    counters: dict[str, int]
    rx_bps: int
    tx_bps: int


def _proc(program: Program) -> str:
    """Return the folder in /proc of a program that has been started, perhaps only just now."""
    until(lambda: program.pids() or not program.is_running(), WITHIN_S)
    pids = program.pids()
    if not pids:
        unmet("the program runs", f"it {program.how_it_ended()}")
    return f"/proc/{pids[0]}"


def moment(program: Program, name: str) -> Moment:
    for line in Path(_proc(program), "net/dev").read_text().splitlines():
        there, _, numbers = line.rpartition(":")
        if there.strip() == name:
            words = numbers.split()
            picked = (words[0], words[1], words[8], words[9])
            counters = dict(zip(FIELDS, map(int, picked), strict=True))
            return Moment(time.monotonic_ns(), counters)
    raise Unmet(f"the interface {name}", "there is none")


def write_file(program: Program, name: str, values: list[int]) -> None:
    """Have a file like /proc/net/dev in the directory that the program runs in."""
    rx_bytes, rx_packets, tx_bytes, tx_packets = values
    path = Path(_proc(program), "cwd", name)
    path.write_text(
        "Inter-|   Receive                            |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop"
        " fifo colls carrier compressed\n"
        "    lo:       1       2    0    0    0     0          0         0        1       2    0    0"
        "    0     0       0          0\n"
        f"veth_c1:{rx_bytes} {rx_packets} 7 7 7 7 7 7 {tx_bytes} {tx_packets} 7 7 7 7 7 7\n"
    )
    path.chmod(0o644)


def first_look(program: Program, name: str) -> Look:
    """Have the program look for the first time."""
    before = moment(program, name)
    said = program.ask(name)
    expect(
        said == f"{name} new",
        expected=f"{name} new",
        actual=said,
        hint="the first look at an interface has nothing to be compared with",
    )
    return Look(before, moment(program, name))


def next_look(program: Program, name: str) -> tuple[Look, Said]:
    """Have the program look again."""
    before = moment(program, name)
    said = program.ask(name)
    match = _ANSWER.fullmatch(said)
    if not match or match[1] != name:
        unmet(FORM.replace("NAME", name), said, "one blank between the words, numbers in decimal")
    numbers = [int(word) for word in match.groups()[1:]]
    counters = dict(zip(FIELDS, (numbers[1], numbers[2], numbers[4], numbers[5]), strict=True))
    return Look(before, moment(program, name)), Said(numbers[0], counters, numbers[3], numbers[6])


def expect_counted(first: Look, second: Look, said: Said, hint: str) -> None:
    """Compare what the program says with what the kernel counted between its looks.

    Nobody else sends here but the kernel itself, an ARP now and then: mostly least is most.
    """
    for field in FIELDS:
        least = second.before.counters[field] - first.after.counters[field]
        most = second.after.counters[field] - first.before.counters[field]
        expect(
            least <= said.counters[field] <= most,
            expected=f"{field}={least}" if least == most else f"{field}: {least} to {most}",
            actual=f"{field}={said.counters[field]}",
            hint=hint,
        )
