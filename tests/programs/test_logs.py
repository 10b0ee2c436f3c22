import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.kernel.output import LIMIT_BYTES, LogWriter
from labctl.kernel.state import LabState
from labctl.programs.logs import Follower, read_log, tail, timed_lines


@pytest.fixture
def lab(tmp_path: Path) -> LabState:
    (tmp_path / "lab" / "logs").mkdir(parents=True)
    return LabState("lab", str(tmp_path))


@pytest.fixture
def log(lab: LabState) -> Iterator[LogWriter]:
    folder = os.open(lab.file("logs"), os.O_DIRECTORY)
    writer = LogWriter("server", folder)
    yield writer
    writer.close()
    os.close(folder)


def test_a_program_that_was_never_started_has_no_output(lab: LabState) -> None:
    assert read_log(lab, "nobody") == b""


def test_the_tail_is_text_whatever_the_bytes_are() -> None:
    assert tail(b"one\ntwo\n\xff\n", 2) == "two\n\ufffd"


def test_a_line_has_the_time_of_its_beginning(lab: LabState, log: LogWriter) -> None:
    log.append(b"one\ntw", 1_000_000_000)
    log.append(b"o\rhalf\nend", 2_000_000_000)

    assert list(timed_lines(lab, "server")) == [
        (1.0, b"one\n"),
        (1.0, b"two\rhalf\n"),
        (2.0, b"end"),
    ]


def test_a_follower_gives_what_is_new(lab: LabState, log: LogWriter) -> None:
    follower = Follower(lab, "server")
    log.append(b"one", 1)
    first = follower.new()
    nothing = follower.new()
    log.append(b"two", 2)
    second = follower.new()
    follower.close()

    assert (first, nothing, second) == (b"one", b"", b"two")


def test_a_follower_loses_nothing_when_a_new_file_is_begun(lab: LabState, log: LogWriter) -> None:
    follower = Follower(lab, "server")
    log.append(b"x" * (LIMIT_BYTES // 2 - 3), 1)
    log.append(b"end", 2)
    log.append(b"new", 3)
    output = follower.new()
    follower.close()

    assert output.endswith(b"xendnew")
    assert len(output) == LIMIT_BYTES // 2 + 3


def test_a_follower_survives_the_end_of_the_lab(lab: LabState, log: LogWriter) -> None:
    follower = Follower(lab, "server")
    log.append(b"last words", 1)
    Path(lab.file("logs/server")).unlink()
    output = follower.new()
    follower.close()

    assert output == b"last words"
