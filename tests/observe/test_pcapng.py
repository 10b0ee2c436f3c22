"""Files that the real tools read: tshark and capinfos."""

import subprocess
from pathlib import Path

import pytest

from labctl.observe.pcapng import write_pcapng
from labctl.observe.sighting import Sighting
from tests.observe.scenes import START_NS, ethernet, tcp, udp

REQUEST = ethernet("client", "server", udp("client", "server", b"time?"))
BIG = ethernet("client", "server", tcp("client", "server", "A", bytes(65_000)))

SIGHTINGS = [
    Sighting(START_NS + 1, "client1", "veth_c1", True, REQUEST),
    Sighting(START_NS + 123_456_789, "server", "veth_srv_c1", False, REQUEST),
    Sighting(START_NS + 5_000_000_002, "client1", "veth_c1", False, BIG),
]


pytestmark = pytest.mark.slow  # tshark takes its time to start


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "lab.pcapng"
    with path.open("wb") as file:
        write_pcapng(file, SIGHTINGS)
    return path


def fields(path: Path, *names: str) -> list[list[str]]:
    options = [word for name in names for word in ("-e", name)]
    command = ["tshark", "-r", str(path), "-T", "fields", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_places_times_and_directions_are_read_back(path: Path) -> None:
    assert fields(
        path, "frame.interface_name", "frame.time_epoch", "frame.packet_flags_direction"
    ) == [
        ["client1:veth_c1", "1700000000.000000001", "0x00000002"],
        ["server:veth_srv_c1", "1700000000.123456789", "0x00000001"],
        ["client1:veth_c1", "1700000005.000000002", "0x00000001"],
    ]


def test_frames_are_read_back_whole(path: Path) -> None:
    assert fields(path, "frame.len", "udp.payload", "tcp.len") == [
        [str(len(REQUEST)), b"time?".hex(), ""],
        [str(len(REQUEST)), b"time?".hex(), ""],
        [str(len(BIG)), "", "65000"],
    ]


def test_capinfos_finds_nothing_wrong(path: Path) -> None:
    done = subprocess.run(["capinfos", str(path)], capture_output=True, text=True, check=True)

    assert done.stderr == ""
    assert "- pcapng" in done.stdout
    assert "nanoseconds (9)" in done.stdout
    assert "Number of interfaces in file: 2" in done.stdout
    assert "Capture application: labctl" in done.stdout


def test_a_file_without_frames_is_one_too(tmp_path: Path) -> None:
    path = tmp_path / "empty.pcapng"
    with path.open("wb") as file:
        write_pcapng(file, [])

    assert fields(path, "frame.number") == []
