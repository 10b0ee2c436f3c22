import os
import threading
from collections.abc import Iterator

import pytest

from labctl.grading.streams import Collector
from tests.limits import LIMIT_S


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def test_lines_come_one_by_one_and_what_has_no_end_waits(collector: Collector) -> None:
    read, write = os.pipe()
    stream = collector.collect(read, 1000)
    os.write(write, b"one\ntwo\r\nthr")

    assert collector.wait(stream.next_line, LIMIT_S) == b"one"
    assert collector.wait(stream.next_line, LIMIT_S) == b"two"
    assert stream.next_line() is None
    os.write(write, b"ee\n")
    assert collector.wait(stream.next_line, LIMIT_S) == b"three"
    os.close(write)
    assert collector.wait(lambda: stream.has_ended, LIMIT_S)


def test_what_is_over_the_limit_is_counted_and_not_kept(collector: Collector) -> None:
    read, write = os.pipe()
    stream = collector.collect(read, 10)
    for _ in range(100):
        os.write(write, b"x" * 1000)
    os.close(write)

    assert collector.wait(lambda: stream.has_ended, LIMIT_S)
    assert (bytes(stream.kept), stream.total) == (b"x" * 10, 100_000)


def test_several_are_read_at_once(collector: Collector) -> None:
    pipes = [os.pipe() for _ in range(5)]
    streams = [collector.collect(read, 1000) for read, _ in pipes]
    for number, (_, write) in reversed(list(enumerate(pipes))):
        os.write(write, b"%d\n" % number)
        os.close(write)

    assert collector.wait(lambda: all(stream.has_ended for stream in streams), LIMIT_S)
    assert [bytes(stream.kept) for stream in streams] == [b"%d\n" % n for n in range(5)]


def test_waiting_ends_at_the_deadline(collector: Collector) -> None:
    assert collector.wait(lambda: None, 0.01) is None


def test_closing_does_not_wait_for_those_who_still_write() -> None:
    collector = Collector()
    read, write = os.pipe()
    stream = collector.collect(read, 1000)
    os.write(write, b"half")
    assert collector.wait(lambda: bool(stream.kept), LIMIT_S)

    collector.close()

    assert bytes(stream.kept) == b"half"
    with pytest.raises(BrokenPipeError):
        os.write(write, b"more")
    os.close(write)
    assert not [thread for thread in threading.enumerate() if thread.name == "collector"]
