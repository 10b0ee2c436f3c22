"""The reference's checksums, with tshark as the judge."""

import random
import socket
import struct
import subprocess

import pytest

from tests.exercises.running import run
from tests.limits import LIMIT_S

FIELDS = [f"{name}.checksum.status" for name in ("ip", "udp", "tcp", "icmp", "icmpv6")]
GOOD, NOT_PRESENT = "1", "3"

ADDRESSES = {
    4: socket.inet_aton("192.0.2.1") + socket.inet_aton("198.51.100.2"),
    6: socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + socket.inet_pton(socket.AF_INET6, "2001:db8::2"),
}


def packet(version: int, protocol: int, payload: bytes) -> bytes:
    """Return a packet without checksums."""
    data = {
        1: b"\x08\0\0\0\x12\x34\0\x01",
        6: struct.pack("!HHIIBBHHH", 40001, 7777, 1, 0, 5 << 4, 2, 1024, 0, 0),
        17: struct.pack("!HHHH", 40001, 7777, 8 + len(payload), 0),
        58: b"\x80\0\0\0\x12\x34\0\x01",
    }[protocol] + payload
    if version == 6:
        return struct.pack("!IHBB", 6 << 28, len(data), protocol, 64) + ADDRESSES[6] + data
    head = struct.pack("!BBHHHBBH", 0x46, 0, 24 + len(data), 1, 0, 64, protocol, 0)
    return head + ADDRESSES[4] + b"\x01\x01\x01\x00" + data


def statuses(packets: list[bytes]) -> list[list[str]]:
    """Return what tshark says of the checksums in each packet, without the ones that it has not."""
    raw_ip = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    records = [struct.pack("<IIII", 0, 0, len(each), len(each)) + each for each in packets]
    options = ["ip.check_checksum", "udp.check_checksum", "tcp.check_checksum"]
    done = subprocess.run(
        ["tshark", "-r", "-", "-n", "-T", "fields"]
        + [word for option in options for word in ("-o", f"{option}:TRUE")]
        + [word for field in FIELDS for word in ("-e", field)],
        input=raw_ip + b"".join(records),
        capture_output=True,
        check=True,
        timeout=6 * LIMIT_S,
    )
    lines = done.stdout.decode().splitlines()
    return [[status for status in line.split("\t") if status] for line in lines]


@pytest.mark.slow
def test_tshark_finds_every_checksum_good() -> None:
    rng = random.Random(1)
    kinds = [(4, 1), (4, 6), (4, 17), (6, 6), (6, 17), (6, 58)]
    given = [
        (version, packet(version, protocol, rng.randbytes(length)))
        for version, protocol in kinds
        for length in (0, 1, 2, 99)
    ]

    done = run("cksum/inet_cksum", stdin="".join(f"fill {p.hex()}\n" for _, p in given).encode())

    filled = [bytes.fromhex(line) for line in done.stdout.decode().split()]
    wanted = [[GOOD] if version == 6 else [GOOD, GOOD] for version, _ in given]
    assert statuses(filled) == wanted


@pytest.mark.slow
def test_tshark_knows_no_checksum_where_udp_has_zero() -> None:
    without = packet(4, 17, b"hello")
    filled = run("cksum/inet_cksum", stdin=f"fill {without.hex()}\n".encode()).stdout.decode()
    data = bytes.fromhex(filled)
    data = data[:30] + b"\0\0" + data[32:]

    said = run("cksum/inet_cksum", stdin=f"check {data.hex()}\n".encode()).stdout

    assert said == b"header=ok data=none\n"
    assert statuses([data]) == [[GOOD, NOT_PRESENT]]
