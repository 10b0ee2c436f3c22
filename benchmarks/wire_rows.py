"""Rows about wired links: while they are clean, and while the emulator makes them bad.

Traffic comes from ``traffic.c``, between the two nodes of ``pair``, and faster than an emulator takes it.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bench import Bench, Row
from benchmarks.contenders import Labctl, compiled, run, value_after
from benchmarks.measure import Comparison
from labctl.errors import machine_error

_SERVER = "10.0.0.2"
_MEGABYTES = 1000
_MEGABYTES_EMULATED = 100
_PACKETS = 60_000
"""As many small ones as the emulator's socket holds: however late it is, it has to take each."""
_PACKETS_PER_SECOND = 90_000

_PLAIN = "plain veth"
_ONE_CORE = "a second of one core"


class Pair:
    """Two nodes and the link between them, up as a lab of its own."""

    def __init__(self, labctl: Labctl, traffic: Path, name: str) -> None:
        self._labctl = labctl
        self._traffic = str(traffic)
        self._name = name
        self._ends = [f"/run/netns/{name}-client", f"/run/netns/{name}-server", _SERVER]

    def impair(self, words: str) -> float:
        """Make the link bad in both directions; return what the whole command took."""
        place = ["-l", self._name, "--link", "client-server"]
        return self._labctl.run("impair", *place, *words.split()).milliseconds

    def gigabyte_ms(self, megabytes: int) -> float:
        """Send that much over TCP; return what a gigabyte takes at this speed."""
        finished = run([self._traffic, "tcp", *self._ends, str(megabytes)])
        return value_after("transfer_ms", finished.stdout) / megabytes * 1000

    def emulator_ms(self, packets: int) -> float:
        """Flood the link; return the processor time that so many packets take of the emulator."""
        pid = self._emulator()
        before_ms, seen_before = _processor_ms(pid), self._seen()
        run([self._traffic, "udp", *self._ends, str(_PACKETS), str(_PACKETS_PER_SECOND)])
        seen = self._seen() - seen_before
        if seen < _PACKETS:
            raise machine_error(f"the emulator saw {seen} of {_PACKETS} packets")
        return (_processor_ms(pid) - before_ms) / seen * packets

    def _seen(self) -> int:
        said = json.loads(self._labctl.run("impair", "-l", self._name, "--show", "--json").stdout)
        return sum(each["counters"]["seen"] for each in said["impairments"])

    def _emulator(self) -> int:
        """Return its process id, of which `labctl ps` knows the one inside the lab."""
        status = json.loads(self._labctl.run("status", self._name, "--json").stdout)
        programs = json.loads(self._labctl.run("ps", "-l", self._name, "--json").stdout)["programs"]
        [inside] = [str(p["pid"]) for p in programs if p["state"] == "running"]
        for path in Path("/proc").glob("[0-9]*/status"):
            fields = dict(line.split(":", 1) for line in path.read_text().splitlines())
            ids = fields["NSpid"].split()
            if fields["PPid"].strip() == str(status["pid"]) and ids[-1] == inside:
                return int(path.parent.name)
        raise machine_error("there is no process of the emulator")


def _processor_ms(pid: int) -> float:
    """Return what a process has used so far, in the kernel too (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    utime, stime = int(fields[11]), int(fields[12])
    return (utime + stime) / os.sysconf("SC_CLK_TCK") * 1000


@contextmanager
def pair_up(bench: Bench, name: str, links: str) -> Iterator[Pair]:
    labctl = Labctl(bench.folder)
    pair = Pair(labctl, compiled(bench.folder, "traffic"), name)
    labctl.run("up", "pair", "--name", name, "--impairments", links)
    yield pair  # what is up when something fails is for `bench.clear`
    labctl.run("down", name)


def clean_tcp(bench: Bench) -> Comparison:
    with pair_up(bench, "wired", "wire") as wired, pair_up(bench, "plain", "none") as plain:
        return bench.compare(
            "wired link",
            {_PLAIN: 1},
            1 / 0.8,  # time, where the budget is of throughput
            {
                "wired link": lambda: wired.gigabyte_ms(_MEGABYTES),
                _PLAIN: lambda: plain.gigabyte_ms(_MEGABYTES),
            },
        )


def emulated_tcp(bench: Bench) -> Comparison:
    with pair_up(bench, "wired", "wire") as wired, pair_up(bench, "plain", "none") as plain:
        wired.impair("loss 0%")
        return bench.compare(
            "emulated link",
            {_PLAIN: 1},
            None,
            {
                "emulated link": lambda: wired.gigabyte_ms(_MEGABYTES_EMULATED),
                _PLAIN: lambda: plain.gigabyte_ms(_MEGABYTES),
            },
        )


def emulator_with_loss(bench: Bench) -> Comparison:
    return _emulator(bench, "loss 1%", 50_000, 1)


def emulator_with_delay(bench: Bench) -> Comparison:
    return _emulator(bench, f"delay 10ms limit {_PACKETS}", 30_000, 1)


def emulator_with_jitter(bench: Bench) -> Comparison:
    words = f"delay 10ms 3ms distribution normal loss 1% limit {_PACKETS}"
    return _emulator(bench, words, 30_000, None)


def _emulator(bench: Bench, words: str, packets: int, limit: float | None) -> Comparison:
    with pair_up(bench, "wired", "wire") as wired:
        wired.impair(words)
        return bench.compare(
            "emulator",
            {_ONE_CORE: 1},
            limit,
            {"emulator": lambda: wired.emulator_ms(packets), _ONE_CORE: lambda: 1000.0},
        )


def impair_against_interpreter(bench: Bench) -> Comparison:
    labctl = Labctl(bench.folder)
    with pair_up(bench, "wired", "wire") as wired:
        wired.impair("loss 1%")  # starts the emulator
        return bench.compare(
            "labctl impair",
            {"interpreter start": 1},
            None,
            {
                "labctl impair": lambda: wired.impair("loss 1%"),
                "interpreter start": labctl.interpreter_start,
            },
        )


ROWS = (
    Row("wire-tcp", "a gigabyte of TCP, wired link", clean_tcp, 15),
    Row("emulator-tcp", "a gigabyte of TCP, emulator", emulated_tcp, 7),
    Row("emulator-loss", "emulator, 50 000 packets, loss", emulator_with_loss, 7),
    Row("emulator-delay", "emulator, 30 000 packets, delay", emulator_with_delay, 7),
    Row("emulator-jitter", "emulator, 30 000 packets, jitter, loss", emulator_with_jitter, 7),
    Row("impair", "labctl impair", impair_against_interpreter, 15),
)
