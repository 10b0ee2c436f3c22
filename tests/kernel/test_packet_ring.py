import pytest

from tests.own_namespace import TWO_PAIRS, run_in_namespace

pytestmark = pytest.mark.kernel

RING = (
    TWO_PAIRS
    + """
from labctl.kernel.packet_ring import Ring
from labctl.wait import until
heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
ring = Ring(heard, RING_BYTES)
source = tap("ina")
names = dict(socket.if_nameindex())
def taken(how_many):
    frames = []
    until(lambda: frames.extend(ring.take()) or len(frames) >= how_many, 10)
    return frames
"""
)


def run(code: str, ring_bytes: int = 1 << 20) -> list[str]:
    setup = RING.replace("RING_BYTES", str(ring_bytes))
    return run_in_namespace(setup + code).split("\n")[:-1]


def test_every_interface_is_heard_with_time_and_direction() -> None:
    code = """
before = time.time_ns()
source.send(frame(7))
for each in taken(2):
    print(names[each.interface_index], each.is_outgoing, each.frame == frame(7))
    print(before <= each.time_ns <= time.time_ns())
"""
    assert run("import time\n" + code) == ["ina True True", "True", "inb False True", "True"]


def test_frames_of_all_sizes_come_whole() -> None:
    code = """
sizes = [20, 60, 1514, 9014]
for size in sizes:
    source.send(frame(1, size))
frames = [each.frame for each in taken(8) if each.is_outgoing]
print([len(each) for each in frames], frames == [frame(1, size) for size in sizes])
"""
    assert run(code) == ["[20, 60, 1514, 9014] True"]


def test_what_is_not_handed_over_yet_is_known() -> None:
    code = """
print(ring.has_more())
source.send(frame(1))
print(ring.has_more())
taken(2)
print(ring.has_more())
"""
    assert run(code) == ["False", "True", "False"]


def test_the_ring_goes_round() -> None:
    code = """
total = 0
for _ in range(40):
    for number in range(50):
        source.send(frame(number, 1000))
    frames = taken(100)
    total += len(frames)
print(total, ring.missed(), ring.has_more())
"""
    assert run(code) == ["4000 0 False"]


def test_what_finds_the_ring_full_is_counted() -> None:
    code = """
for number in range(600):
    source.send(frame(number, 1000))
missed = kept = 0
def all_are_told():
    global missed, kept
    missed += ring.missed()
    kept += len(list(ring.take()))
    return missed + kept >= 1200
print(until(all_are_told, 10), missed > 0)
print(missed + kept, ring.missed())
"""
    assert run(code, ring_bytes=0) == ["True True", "1200 0"]


def test_a_ring_that_the_kernel_refuses_is_the_machines_fault() -> None:
    code = """
from labctl.errors import LabError
other = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
try:
    Ring(other, 1 << 42)
except LabError as error:
    print(error.problem.startswith("packets cannot be captured: "), error.exit_code)
"""
    assert run(code) == ["True 3"]
