"""The reference's words about frames, with tshark as the judge."""

import random
import struct
import subprocess

import pytest

from tests.exercises.running import run
from tests.limits import LIMIT_S

FIELDS = ("frame.len", "ip.src", "ip.dst", "ip.ttl", "ipv6.src", "ipv6.dst", "ipv6.hlim")
PORTS = ("udp.srcport", "udp.dstport", "tcp.srcport", "tcp.dstport", "tcp.len")
MACS = bytes(12)


def frame(rng: random.Random, is_ipv6: bool, is_tcp: bool) -> bytes:
    """Return a frame with random addresses, ports, options and data."""
    payload = rng.randbytes(rng.randrange(100))
    ports = rng.randrange(1, 65536), rng.randrange(1, 65536)
    if is_tcp:
        options = b"\x01" * rng.choice([0, 4, 40])
        words = 5 + len(options) // 4
        data = struct.pack("!HHIIBBHHH", *ports, 1, 2, words << 4, 0x18, 99, 0, 0) + options
    else:
        data = struct.pack("!HHHH", *ports, 8 + len(payload), 0)
    data += payload
    protocol, hops = (6 if is_tcp else 17), rng.randrange(1, 256)
    if is_ipv6:
        extension = struct.pack("!BB6x", protocol, 0) if rng.randrange(2) else b""
        size, first = len(extension + data), 0 if extension else protocol
        packet = struct.pack("!IHBB", 6 << 28, size, first, hops) + rng.randbytes(32)
        packet += extension + data
    else:
        options = b"\x01" * rng.choice([0, 4, 40])
        head = 20 + len(options)
        first = 0x40 | head // 4
        packet = struct.pack("!BBHHHBBH", first, 0, head + len(data), 1, 0, hops, protocol, 0)
        packet += bytes([10]) + rng.randbytes(3) + bytes([10]) + rng.randbytes(3) + options + data
    kind = struct.pack("!H", 0x86DD if is_ipv6 else 0x0800)
    return (MACS + kind + packet).ljust(60, b"\0")


@pytest.mark.slow
def test_tshark_sees_the_same() -> None:
    rng = random.Random(1)
    frames = [frame(rng, bool(n & 1), bool(n & 2)) for n in range(80)]
    file = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + b"".join(
        struct.pack("<IIII", 0, 0, len(each), len(each)) + each for each in frames
    )
    judged = subprocess.run(
        ["tshark", "-r", "-", "-n", "-T", "fields", "-E", "occurrence=f"]
        + [word for field in FIELDS + PORTS for word in ("-e", field)],
        input=file,
        capture_output=True,
        check=True,
        timeout=6 * LIMIT_S,
    )
    wanted = []
    for number, line in enumerate(judged.stdout.decode().splitlines(), 1):
        # With IPv4 the fields of IPv6 are empty, with UDP those of TCP, and the other way round.
        found = line.split("\t")
        is_ipv6 = not found[1]
        source, destination, hops = found[4:7] if is_ipv6 else found[1:4]
        is_tcp = not found[7]
        ports = found[9:11] if is_tcp else found[7:9]
        ip = f"{'ip6' if is_ipv6 else 'ip4'} {source} -> {destination} ttl={hops}"
        said = f"{number} len={found[0]} {ip} {'tcp' if is_tcp else 'udp'} {' -> '.join(ports)}"
        if is_tcp:
            said += f" flags=PA seq=1 ack=2 data={found[11]}"
        wanted.append(said)

    done = run("pktproc/pktproc", stdin=file)

    assert done.returncode == 0
    lines = done.stdout.decode().splitlines()
    assert [line if " tcp " in line else line.partition(" data=")[0] for line in lines] == wanted
