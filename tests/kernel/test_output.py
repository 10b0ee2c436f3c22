import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.kernel.output import LIMIT_BYTES, LogWriter, read_pieces
from tests.file_size import largest_file


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_DIRECTORY)
    yield fd
    os.close(fd)


def _read(path: Path) -> list[tuple[int, bytes]]:
    with path.open("rb") as file:
        return list(read_pieces(file))


def test_pieces_come_back_with_their_times(folder: int, tmp_path: Path) -> None:
    log = LogWriter("server", folder)
    log.append(b"one\n", 5)
    log.append(b"7 7\n\0\xff", 6)
    log.close()

    assert _read(tmp_path / "server") == [(5, b"one\n"), (6, b"7 7\n\0\xff")]


def test_a_piece_that_is_not_complete_is_left_for_the_next_call() -> None:
    file = io.BytesIO(b"1 3\nabc2 5\nde")
    first = list(read_pieces(file))
    end = file.seek(0, os.SEEK_END)
    file.write(b"fgh")
    file.seek(end - len(b"2 5\nde"))

    assert first == [(1, b"abc")]
    assert list(read_pieces(file)) == [(2, b"defgh")]


def test_endless_output_keeps_its_end_within_the_limit(folder: int, tmp_path: Path) -> None:
    log = LogWriter("server", folder)
    for number in range(400):
        log.append(b"%05d" % number + b"x" * 19_995, number)
    log.close()
    kept = _read(tmp_path / "server.old") + _read(tmp_path / "server")
    numbers = [int(data[:5]) for _, data in kept]

    assert numbers == list(range(numbers[0], 400))
    assert LIMIT_BYTES // 2 <= sum(len(data) for _, data in kept) <= LIMIT_BYTES + 50_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["server", "server.old"]


def test_a_new_program_of_the_same_name_begins_anew(folder: int, tmp_path: Path) -> None:
    (tmp_path / "server.old").write_bytes(b"1 1\na")
    (tmp_path / "server").write_bytes(b"2 1\nb")
    LogWriter("server", folder).close()

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"server": b""}


def test_a_full_disk_loses_whole_pieces_and_no_more(folder: int, tmp_path: Path) -> None:
    log = LogWriter("server", folder)
    log.append(b"before", 1)
    with largest_file(40):
        log.append(b"x" * 100, 2)
        log.append(b"y" * 100, 3)
    log.append(b"after", 4)
    log.close()

    assert _read(tmp_path / "server") == [(1, b"before"), (4, b"after")]


def test_where_no_new_file_can_be_begun_the_old_one_stays_and_writing_resumes(
    folder: int, tmp_path: Path
) -> None:
    log = LogWriter("server", folder)
    log.append(b"x" * (LIMIT_BYTES // 2), 1)
    (tmp_path / "server.new").mkdir()
    log.append(b"lost", 2)
    (tmp_path / "server.new").rmdir()
    log.append(b"kept", 3)
    log.close()

    assert _read(tmp_path / "server.old") == [(1, b"x" * (LIMIT_BYTES // 2))]
    assert _read(tmp_path / "server") == [(3, b"kept")]


def test_what_comes_after_the_close_is_dropped(folder: int, tmp_path: Path) -> None:
    log = LogWriter("server", folder)
    log.close()
    log.append(b"late", 1)
    log.close()

    assert _read(tmp_path / "server") == []
