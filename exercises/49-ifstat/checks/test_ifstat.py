"""Checks of ifstat. The contract is in README.md."""

import random
import socket

import ifcounters
import pytest

from labctl.testing import (
    WITHIN_S,
    Lab,
    Program,
    Submission,
    expect,
    expect_equal,
    machine_error,
    unmet,
    until,
)

PORT = 9
DELTA = (
    "take the difference to the look before; in /proc/net/dev the first eight numbers are of what was "
    "received, the next eight of what was sent, each time bytes and then packets"
)
HEADERS = 14 + 20 + 8
_MOST_LOOKS = 100


def start(submission: Submission, node: str) -> Program:
    return submission.start(node, "ifstat", ready=False)


def send(lab: Lab, count: int, size: int, *, towards_client: bool = False) -> None:
    """Send datagrams that nobody answers, and see them arrive."""
    sender, receiver = ("server", "client1") if towards_client else ("client1", "server")
    to = ("10.0.1.2", PORT) if towards_client else ("10.0.1.1", PORT)
    sink = lab[receiver].udp(bind=("0.0.0.0", PORT))
    source = lab[sender].udp(to=to)
    for _ in range(count):
        source.send(bytes(size))
        sink.receive()
    sink.close()
    source.close()


@pytest.mark.points(3)
@pytest.mark.parametrize("direction", ["sent", "received"])
def test_what_goes_through_is_counted(
    lab: Lab, submission: Submission, rng: random.Random, direction: str
) -> None:
    """what has gone through since the look before is counted, in each direction"""
    towards_client = direction == "received"
    program = start(submission, "client1")
    send(lab, 3, 100, towards_client=towards_client)
    look = ifcounters.first_look(program, "veth_c1")
    for _ in range(2):
        count, size = rng.randrange(5, 30), rng.randrange(20, 1400)
        send(lab, count, size, towards_client=towards_client)
        after, said = ifcounters.next_look(program, "veth_c1")
        hint = f"{count} datagrams of {size} bytes were {direction}; {DELTA}"
        ifcounters.expect_counted(look, after, said, hint)
        field = "rx" if towards_client else "tx"
        expect(
            said.counters[f"{field}_bytes"] >= count * (size + HEADERS),
            expected=f"{field}_bytes: at least {count} times {size} and {HEADERS} of headers",
            actual=f"{field}_bytes={said.counters[f'{field}_bytes']}",
            hint=DELTA,
        )
        look = after


@pytest.mark.points(2)
def test_rates_are_by_the_time_that_has_passed(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """ns is the time between the looks, and a rate is bits in that time"""
    program = start(submission, "client1")
    look = ifcounters.first_look(program, "veth_c1")
    since_ns = look.after.time_ns
    for _ in range(_MOST_LOOKS):
        send(lab, rng.randrange(20, 60), 1000)
        after, said = ifcounters.next_look(program, "veth_c1")
        least = after.before.time_ns - look.after.time_ns
        most = after.after.time_ns - look.before.time_ns
        expect(
            least <= said.ns <= most,
            expected=f"ns: {least} to {most}, the time between the looks",
            actual=f"ns={said.ns}",
            hint="CLOCK_MONOTONIC, read beside the counters at each look; in nanoseconds",
        )
        for field, bps in (("rx", said.rx_bps), ("tx", said.tx_bps)):
            expect_equal(
                bps,
                8 * said.counters[f"{field}_bytes"] * 10**9 // said.ns,
                f"{field}_bps for {field}_bytes={said.counters[f'{field}_bytes']} in ns={said.ns}",
                "bits are 8 times the bytes, a second is 10^9 ns; in whole numbers, rounded down",
            )
        # On a busy machine the bounds may be so wide that the time from the first look on would
        # be within them too, or just a second, which some take for granted. Then they say nothing yet.
        if most < after.before.time_ns - since_ns and not least <= 10**9 <= most:
            return
        look = after
    raise machine_error("the times of the looks are too uncertain to tell one from another")


@pytest.mark.needs("test_what_goes_through_is_counted")
@pytest.mark.points(1)
def test_each_interface_counts_from_its_own_look(
    lab: Lab, submission: Submission, rng: random.Random
) -> None:
    """each interface counts from the last look at itself"""
    program = start(submission, "server")
    names = ["veth_srv_c1", "lo", "veth_srv_c2"]
    send(lab, 3, 100)
    looks = {name: ifcounters.first_look(program, name) for name in names}
    for name in ("veth_srv_c1", "veth_srv_c2", "veth_srv_c1", "lo", "veth_srv_c2"):
        send(lab, rng.randrange(2, 9), 100)
        after, said = ifcounters.next_look(program, name)
        hint = f"keep the last look of each name: this one counts from the last look at {name}"
        ifcounters.expect_counted(looks[name], after, said, hint)
        looks[name] = after


@pytest.mark.points(1)
def test_counters_have_64_bits(lab: Lab, submission: Submission, rng: random.Random) -> None:
    """counters of any size are subtracted exactly, and old kernels leave no blank behind the colon"""
    program = submission.start("client1", "ifstat", "counters", ready=False)
    high = rng.randrange(2**62, 2**63)
    steps = rng.sample(range(1, 2**20), 4)
    ifcounters.write_file(program, "counters", [high + n for n in range(4)])
    hint = "FILE is read anew at each look; a double has 53 bits, and a counter has 64"
    expect_equal(program.ask("veth_c1"), "veth_c1 new", "the first look", hint)
    ifcounters.write_file(program, "counters", [high + n + steps[n] for n in range(4)])
    _, said = ifcounters.next_look(program, "veth_c1")
    expect_equal(list(said.counters.values()), steps, "differences of counters near 2^63", hint)


def ip(lab: Lab, *words: str) -> None:
    ended = lab["client1"].run("ip", *words)
    if ended.exit_status:
        raise machine_error(f"ip {' '.join(words)}: {ended.stderr.decode()}", where="check")


def add_pair(lab: Lab, name: str) -> None:
    """Make an interface, and a second one to which it sends."""
    ip(lab, "link", "add", name, "type", "veth", "peer", "name", "other_end")
    ip(lab, "link", "set", "other_end", "up")
    ip(lab, "link", "set", name, "up")


def push(lab: Lab, program: Program, name: str, count: int) -> None:
    """Send frames out of an interface, whatever is behind it."""
    with lab["client1"].socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((name, 0))
        before = ifcounters.moment(program, name).counters["tx_packets"]
        for _ in range(count):
            raw.send(b"\xff" * 6 + b"\2" + bytes(5) + b"\x88\xb5" + bytes(46))
    if not until(
        lambda: ifcounters.moment(program, name).counters["tx_packets"] >= before + count, WITHIN_S
    ):
        raise machine_error("the interface does not count what is sent", where="check")


@pytest.mark.needs("test_what_goes_through_is_counted")
@pytest.mark.points(1)
def test_interfaces_come_and_go(lab: Lab, submission: Submission) -> None:
    """an interface that is not there is told as such, and one that comes back is new"""
    program = start(submission, "client1")
    hint = "compare the whole name; and forget the look when the interface is not there"
    for name in ("veth_c", "nobody0"):
        expect_equal(program.ask(name), f"{name} none", f'the answer to "{name}"', hint)
    other = ifcounters.first_look(program, "veth_c1")
    add_pair(lab, "veth_c")
    look = ifcounters.first_look(program, "veth_c")
    push(lab, program, "veth_c", 4)
    after, said = ifcounters.next_look(program, "veth_c")
    ifcounters.expect_counted(look, after, said, DELTA)
    # It goes and comes back as the same interface, with its counters.
    ip(lab, "link", "set", "veth_c", "down")
    ip(lab, "link", "set", "veth_c", "name", "elsewhere")
    expect_equal(program.ask("veth_c"), "veth_c none", 'the answer to "veth_c", renamed', hint)
    ip(lab, "link", "set", "elsewhere", "name", "veth_c")
    expect_equal(program.ask("veth_c"), "veth_c new", 'the answer to "veth_c", back again', hint)
    ip(lab, "link", "del", "veth_c")
    expect_equal(program.ask("veth_c"), "veth_c none", 'the answer to "veth_c", deleted', hint)
    after, said = ifcounters.next_look(program, "veth_c1")
    ifcounters.expect_counted(other, after, said, DELTA)


@pytest.mark.needs("test_interfaces_come_and_go")
@pytest.mark.points(2)
@pytest.mark.parametrize("counts", ["less", "more"])
def test_another_interface_of_the_same_name_is_new(
    lab: Lab, submission: Submission, counts: str
) -> None:
    """an interface that was replaced is new, whatever its counters say"""
    program = start(submission, "client1")
    add_pair(lab, "tunnel0")
    push(lab, program, "tunnel0", 200 if counts == "less" else 1)
    look = ifcounters.first_look(program, "tunnel0")
    ip(lab, "link", "del", "tunnel0")
    add_pair(lab, "tunnel0")
    push(lab, program, "tunnel0", 1 if counts == "less" else 200)
    now = ifcounters.moment(program, "tunnel0").counters["tx_bytes"]
    was = look.after.counters["tx_bytes"]
    if (now < was) != (counts == "less"):
        raise machine_error(f"{now} bytes after {was}", where="check")
    said = program.ask("tunnel0")
    if said != "tunnel0 new":
        unmet(
            f"tunnel0 new: it was deleted and made again, and has sent {now} bytes; the one before "
            f"had sent {was}",
            said,
            "compare the interface's index, too: if_nametoindex()",
        )
    look = ifcounters.Look(ifcounters.moment(program, "tunnel0"), look.after)
    push(lab, program, "tunnel0", 5)
    _, numbers = ifcounters.next_look(program, "tunnel0")
    expect(
        5 <= numbers.counters["tx_packets"] < 100,
        expected="tx_packets=5, or a few of the kernel's own more, counted from the look before",
        actual=f"tx_packets={numbers.counters['tx_packets']}",
        hint="the look that was told as new is the one that the next counts from",
    )
