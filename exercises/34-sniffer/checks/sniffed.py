"""Reads what a sniffer writes, and what the kernel knows of its socket."""

import fcntl
import socket
import struct
import time
from typing import NamedTuple

from labctl.testing import WITHIN_S, Lab, Program, machine_error, unmet, until

NODE, INTERFACE, OTHER_INTERFACE = "server", "veth_srv_c1", "veth_srv_c2"
SERVER, CLIENT = "10.0.1.1", "10.0.1.2"
PORT = 7777

MATCH = "udp port 7777"
# tcpdump -ddd -y EN10MB udp port 7777
FILTER = (
    "20,40 0 0 12,21 0 6 34525,48 0 0 20,21 0 15 17,40 0 0 54,21 12 0 7777,40 0 0 56,21 10 11 7777,"
    "21 0 10 2048,48 0 0 23,21 0 8 17,40 0 0 20,69 6 0 8191,177 0 0 14,72 0 0 14,21 2 0 7777,"
    "72 0 0 16,21 0 1 7777,6 0 0 262144,6 0 0 0,"
)

_FILE_HEADER = struct.Struct("<IHHiIII")
_RECORD_HEADER = struct.Struct("<IIII")
_MOST_IN_A_FRAME = 1 << 18
_SIOCGIFINDEX = 0x8933
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("ll")


class Record(NamedTuple):
    """A frame of the file."""

    time_us: int
    length: int
    """Of the frame as it was; `data` may be less."""
    data: bytes


def wait_for_header(program: Program) -> None:
    """Wait until the sniffer hears: it says so by the header of the file. Raises ``Unmet``."""
    hint = "write the header of the file when the socket is bound, at once and not at the end"
    if not until(lambda: len(program.stdout) >= 24 or not program.is_running(), WITHIN_S):
        unmet("24 bytes of a file header on stdout", f"{len(program.stdout)} bytes", hint)
    if len(program.stdout) < 24:
        unmet("the program captures", f"it {program.how_it_ended()}", hint)


def records(data: bytes, what: str) -> list[Record]:
    """Return the records of a file. Raises ``Unmet`` where it is none."""
    hint = "the tables in README.md have every byte of the file; little-endian"
    head = _FILE_HEADER.unpack(data[:24])
    if (head[0], head[1], head[2], head[6]) != (0xA1B2C3D4, 2, 4, 1):
        unmet("the header of a pcap file: d4c3b2a1 0200 0400 …", data[:24].hex(), hint)
    found: list[Record] = []
    at = 24
    while at < len(data):
        if at + 16 > len(data):
            unmet("a record header of 16 bytes", f"{len(data) - at} bytes at the end", hint)
        seconds, microseconds, kept, length = _RECORD_HEADER.unpack(data[at : at + 16])
        at += 16
        if kept > _MOST_IN_A_FRAME or at + kept > len(data) or microseconds >= 10**6:
            unmet(
                f"{what}: record {len(found) + 1} has as many bytes as it says",
                f"it says {kept} of {length}, and {len(data) - at} are left",
                hint,
            )
        found.append(Record(seconds * 10**6 + microseconds, length, data[at : at + kept]))
        at += kept
    return found


def queued_bytes(lab: Lab) -> int:
    """Return how much waits in the packet sockets bound to the interface. Raises ``Unmet``."""
    node = lab[NODE]
    with node.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock, _SIOCGIFINDEX, struct.pack("16s24x", INTERFACE.encode()))
    index = struct.unpack_from("i", answer, 16)[0]
    lines = node.run("cat", "/proc/net/packet").stdout.decode().splitlines()[1:]
    bound = [line.split() for line in lines if line.split()[4] == str(index)]
    if not bound:
        unmet(
            f"a packet socket that is bound to {INTERFACE} (/proc/net/packet)",
            "there is none",
            "bind((interface, ETH_P_ALL)); in C `struct sockaddr_ll`, with htons(ETH_P_ALL)",
        )
    return sum(int(line[6]) for line in bound)


def have_arrival_times(lab: Lab) -> None:
    """Have the kernel note when frames arrive, from before the program asks for it.

    It begins a moment after somebody asks for the first time; until then it tells when they are read.
    """
    sock = lab[NODE].udp(bind=(SERVER, 0)).socket
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    sock.settimeout(WITHIN_S)

    def is_noted() -> bool:
        sock.sendto(b"when?", sock.getsockname())
        now_ns = time.time_ns()
        _, [(_, _, data)], _, _ = sock.recvmsg(100, 100)
        seconds, nanoseconds = _TIMESPEC.unpack(data)
        return bool(seconds * 10**9 + nanoseconds <= now_ns)

    if not until(is_noted, WITHIN_S):
        raise machine_error("the kernel does not note when packets arrive", where="check")
