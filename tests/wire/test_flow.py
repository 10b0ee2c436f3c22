import pytest

from tests.own_namespace import TWO_PAIRS, run_in_namespace

pytestmark = pytest.mark.kernel

_FLOW = (
    TWO_PAIRS
    + """
import struct, time
from labctl.topology.impairment_words import parse_impairment
from labctl.topology.rule_file import rules_from
from labctl.wire.flow import Flow
from labctl.wire.match import compile_filters
from labctl.wire.rules import RuleSet

flow = Flow("a->b", "inb", "outa")
source, there = tap("ina"), tap("outb")
fates = []

def impair(words):
    flow.impair(parse_impairment(words.split()))

def arm(*rules):
    [(_, rules, _)] = rules_from({"a->b": list(rules)}).directions
    flow.arm(RuleSet(rules, compile_filters(rules), seed=1, direction="a->b", log=fates.append))

def send(*numbers):
    for number in numbers:
        source.send(frame(number))
    # The kernel may take its time: go on when they are where the flow reads.
    missing, deadline = len(numbers), time.monotonic() + 10
    while missing and time.monotonic() < deadline:
        missing -= struct.unpack("II", flow.reader.getsockopt(263, 6, 8))[0]  # PACKET_STATISTICS

def arrived(count=0):
    found = []
    try:
        while True:
            there.settimeout(10 if len(found) < count else 0)
            found.append(int.from_bytes(there.recv(100)[14:18]))
    except (BlockingIOError, TimeoutError):
        return found

def much_later():
    return time.monotonic_ns() + 400_000_000_000
"""
)


def run(code: str) -> list[str]:
    return run_in_namespace(_FLOW + code).splitlines()


def test_a_perfect_flow_passes_frames_in_order() -> None:
    code = """
send(*range(100))
print(flow.pump(), flow.pump())
print(arrived(100) == list(range(100)), flow.next_ns())
"""
    assert run(code) == ["True False", "True None"]


def test_a_delayed_frame_is_due_at_its_time_and_not_before() -> None:
    code = """
impair("delay 50ms")
send(1)
before = time.monotonic_ns()
flow.pump()
print(arrived(), 50_000_000 <= flow.next_ns() - before < 60_000_000_000)
flow.release(flow.next_ns())
print(arrived(1), flow.next_ns())
"""
    assert run(code) == ["[] True", "[1] None"]


def test_rules_come_before_the_words() -> None:
    code = """
impair("duplicate 100%")
arm({"drop": {"packets": [2]}})
send(1, 2, 3)
flow.pump()
print(arrived(4), [fate.nth for fate in fates])
shown = flow.as_json()
print(shown["words"], shown["counters"]["seen"], shown["rules"][0]["fired"])
"""
    assert run(code) == ["[1, 1, 3, 3] [2]", "['duplicate', '100%'] 2 1"]


def test_new_rules_let_go_of_what_the_old_ones_kept() -> None:
    code = """
arm({"hold": {"packets": [1], "timeout": "60s"}})
send(1, 2)
flow.pump()
print(arrived(1))
arm({"drop": {"packets": [1]}})
print(arrived(1))
send(3, 4)
flow.pump()
print(arrived(1))
"""
    assert run(code) == ["[2]", "[1]", "[4]"]


def test_who_leaves_takes_in_all_that_had_arrived_as_it_was_asked() -> None:
    code = """
impair("delay 200s")
send(*range(200))
flow.leave()
print(flow.is_leaving, arrived(), flow.has_left(time.monotonic_ns()))
flow.release(much_later())
print(flow.has_left(much_later()), arrived(200) == list(range(200)))
print(flow.next_ns() is not None)
"""
    assert run(code) == ["True [] False", "True True", "True"]


def test_nothing_is_due_at_once_while_a_leaving_flow_waits_for_its_frames() -> None:
    # Or the emulator would ask again and again until they are due.
    code = """
impair("delay 200s")
send(1)
flow.leave()
print(flow.next_ns() - time.monotonic_ns() > 100_000_000_000)
"""
    assert run(code) == ["True"]


def test_who_comes_back_begins_anew_and_still_delivers_the_old_frames() -> None:
    code = """
impair("delay 200s loss 0%")
send(1, 2)
flow.leave()
arm({"drop": {"packets": [1]}})
send(3, 4)
flow.pump()
print(flow.is_leaving, arrived(1), flow.as_json()["words"], flow.as_json()["counters"]["seen"])
flow.release(much_later())
print(flow.next_ns(), arrived(2))
"""
    assert run(code) == ["False [4] [] 1", "None [1, 2]"]


def test_who_has_read_the_last_frame_has_no_more_however_many_they_were() -> None:
    # Or a flow that leaves would wait for one more, and the emulator never sleep meanwhile.
    code = """
flow.leave()
send(*range(64))
print(flow.pump(), arrived(64) == list(range(64)), flow.has_left(much_later()))
"""
    assert run(code) == ["False True True"]


def test_a_flow_that_cannot_be_opened_keeps_nothing_open() -> None:
    code = """
before = len(os.listdir("/proc/self/fd"))
for reader, writer in (("nothing0", "outa"), ("inb", "nothing0")):
    try:
        Flow("c->d", reader, writer)
    except OSError as error:
        print(error.strerror)
print(len(os.listdir("/proc/self/fd")) - before)
"""
    assert run(code) == ["No such device", "No such device", "0"]


def test_what_cannot_be_delivered_is_counted() -> None:
    code = """
subprocess.run("ip link set outa down".split(), check=True)
send(1)
flow.pump()
subprocess.run("ip link set outa up".split(), check=True)
send(2)
flow.pump()
print(arrived(1), flow.as_json()["counters"]["undelivered"])
"""
    assert run(code) == ["[2] 1"]
