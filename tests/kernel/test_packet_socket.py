import struct

import pytest

from labctl.kernel.packet_socket import PLAIN_HEADER, VNET_HEADER_BYTES, completed
from tests.own_namespace import TWO_PAIRS, run_in_namespace

_NEEDS_CHECKSUM = 1


def with_header(
    frame: bytes, flags: int = 0, segments: int = 0, start: int = 0, at: int = 0
) -> bytes:
    return struct.pack("BBHHHH", flags, segments, 0, 0, start, at) + frame


def internet_checksum(data: bytes) -> int:
    """Return what RFC 1071 says, straight from its words: the sum with the carries added in."""
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at : at + 2].ljust(2, b"\0"))
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_a_plain_header_says_that_the_frame_is_whole() -> None:
    assert len(PLAIN_HEADER) == VNET_HEADER_BYTES
    assert completed(PLAIN_HEADER + b"frame") == b"frame"


@pytest.mark.parametrize("length", [8, 9, 20, 1001, 8980])
def test_a_missing_checksum_is_filled_in(length: int) -> None:
    header = bytes(range(34))
    payload = bytearray(at * 7 % 256 for at in range(length))
    payload[6:8] = (0x1234).to_bytes(2)  # the sum of the pseudo header, as the kernel leaves it

    frame = completed(with_header(header + payload, _NEEDS_CHECKSUM, start=34, at=6))

    assert frame is not None
    assert frame[:40] == (header + payload)[:40]
    assert frame[42:] == (header + payload)[42:]
    # Whoever checks adds the pseudo header, the payload and the checksum, and gets all ones.
    assert internet_checksum((0x1234).to_bytes(2) + frame[34:]) == 0xFFFF


def test_a_checksum_is_never_zero_which_would_mean_none_in_udp() -> None:
    frame = completed(with_header(bytes.fromhex("ffff0000"), _NEEDS_CHECKSUM, start=0, at=2))

    assert frame == bytes.fromhex("ffffffff")


def test_a_super_frame_cannot_be_completed() -> None:
    assert completed(with_header(bytes(3000), _NEEDS_CHECKSUM, segments=1, start=34, at=16)) is None


@pytest.mark.kernel
def test_frames_go_in_at_the_reader_and_out_at_the_writer() -> None:
    code = """
from labctl.kernel.packet_socket import PLAIN_HEADER, open_reader, open_writer
reader, writer, source, there = open_reader("inb"), open_writer("outa"), tap("ina"), tap("outb")
reader.settimeout(10)
for size in (60, 9014):
    source.send(frame(7, size))
    data = reader.recv(20000)
    writer.send(data)
    print(data == PLAIN_HEADER + frame(7, size), there.recv(20000) == frame(7, size))
"""
    assert run_in_namespace(TWO_PAIRS + code).split() == ["True"] * 4


@pytest.mark.kernel
def test_neither_blocks_nor_hears_what_is_not_its_own() -> None:
    code = """
from labctl.kernel.packet_socket import open_reader, open_writer
reader, writer, backwards = open_reader("inb"), open_writer("inb"), tap("ina")
before = tap("outb")
writer.send(bytes(10) + frame(1))  # what the reader's own side sends
tap("outa").send(frame(2))         # another interface
before.recv(100)
print(backwards.recv(100) == frame(1))
tap("ina").send(frame(3))          # arrives: the writer has to stay deaf
reader.settimeout(10)
print(reader.recv(100)[10:] == frame(3))
reader.setblocking(False)
for sock in (reader, writer):
    try:
        print(sock.recv(100))
    except BlockingIOError:
        print("nothing")
"""
    assert run_in_namespace(TWO_PAIRS + code).split() == ["True", "True", "nothing", "nothing"]


@pytest.mark.kernel
def test_overruns_are_counted_since_the_last_time() -> None:
    code = """
import time
from labctl.kernel.packet_socket import open_reader, overruns
reader, source = open_reader("inb"), tap("ina")
reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 10_000)
for number in range(200):
    source.send(frame(number, 1000))
lost, kept, deadline = 0, 0, time.monotonic() + 10
while lost + kept < 200 and time.monotonic() < deadline:
    lost += overruns(reader)
    try:
        while reader.recv(2000):
            kept += 1
    except BlockingIOError:
        pass
print(lost > 0, lost + kept, overruns(reader))
"""
    assert run_in_namespace(TWO_PAIRS + code).split() == ["True", "200", "0"]


@pytest.mark.kernel
def test_an_interface_that_is_not_there_is_an_error() -> None:
    code = """
from labctl.kernel.packet_socket import open_reader, open_writer
for open_one in (open_reader, open_writer):
    try:
        open_one("nothing0")
    except OSError as error:
        print(error.strerror)
"""
    assert run_in_namespace(TWO_PAIRS + code) == "No such device\n" * 2
