#!/usr/bin/env python3
"""Capture the packets of an interface that a filter lets pass, into a pcap file.

usage: sniff [-c COUNT] [-s BYTES] INTERFACE FILTER > FILE

FILTER is a classic BPF program as `tcpdump -ddd` prints it, its lines joined by commas. Writes the
file to stdout: its header as soon as no packet will be missed, then a record for each frame, cut
to BYTES bytes (-s, 65535). Ends after COUNT frames (-c), or by Ctrl-C, with a line on stderr:

    captured=12 received=15 dropped=3

Exit 0, or 1 for an error. Needs CAP_NET_RAW.

What it shows: a packet socket sees frames before TCP/IP does, and after. A filter runs in the
kernel for each of them, so that those that nobody wants cost no copy and wake nobody up; and what
the program is too slow for is dropped, so it had better know how much that was.
"""

import array
import errno
import getopt
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

USAGE = "usage: sniff [-c COUNT] [-s BYTES] INTERFACE FILTER > FILE"

ETH_P_ALL = 0x0003

# asm-generic/socket.h and linux/if_packet.h; Python has no names for them.
SO_ATTACH_FILTER = 26
SO_TIMESTAMPNS = 35
SOL_PACKET = 263
PACKET_STATISTICS = 6

# struct sock_filter: what to do, how far to jump if so and if not, and a number.
INSTRUCTION = struct.Struct("HBBI")
RETURN = 0x06
NOTHING = INSTRUCTION.pack(RETURN, 0, 0, 0)
# struct sock_fprog: how many instructions, and where they are.
PROGRAM = struct.Struct("HP")
TIMESPEC = struct.Struct("ll")
STATISTICS = struct.Struct("II")

# pcap(5): magic number, version 2.4, zone and accuracy (always 0), most bytes of a frame, link type.
FILE_HEADER = struct.Struct("<IHHiIII")
MAGIC = 0xA1B2C3D4
ETHERNET = 1
# Seconds and microseconds, bytes that follow, bytes that there were.
RECORD_HEADER = struct.Struct("!IIII")

MOST_BYTES = 65535
BUFFER_SIZE = 1 << 18  # a frame that a card is to cut into segments is longer than any packet


class Settings(NamedTuple):
    """What the user asked for."""

    interface: str
    program: bytes
    """As the kernel wants it."""
    count: int
    """0 for no end."""
    most_bytes: int


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Turn the failure of a system call into one line on stderr and exit code 1."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        sys.exit(f"error: {call}: {name} ({error.strerror})")


def write(data: bytes) -> None:
    """Write all of it at once, so that whoever reads the file has every frame up to now."""
    # Started with `>&-`, our own socket would be descriptor 1: make the call fail instead.
    with calling("write"):
        while data:
            data = data[os.write(-1 if sys.stdout is None else 1, data) :]


def settings(arguments: list[str]) -> Settings:
    """Check what the user typed."""
    try:
        given, (interface, text) = getopt.gnu_getopt(arguments, "c:s:")
    except (getopt.GetoptError, ValueError):
        print(USAGE, file=sys.stderr)
        sys.exit(2)
    chosen = dict(given)
    count = number("-c", chosen["-c"], 10**9) if "-c" in chosen else 0
    most_bytes = number("-s", chosen.get("-s", str(MOST_BYTES)), MOST_BYTES)
    return Settings(interface, compiled(text), count, most_bytes)


def number(name: str, text: str, largest: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= largest):
        sys.exit(f'error: {name}: "{text}" is not a number from 1 to {largest}')
    return int(text)


def compiled(text: str) -> bytes:
    """Return the instructions of a filter. Whether they make sense, the kernel finds out."""
    length, *lines = text.rstrip(",\n").split(",")
    try:
        instructions = [INSTRUCTION.pack(*map(int, line.split())) for line in lines]
        if int(length) != len(instructions):
            raise ValueError
    except (ValueError, struct.error):
        sys.exit("error: filter: not what `tcpdump -ddd` prints, joined by commas")
    return b"".join(instructions)


def attach(sock: socket.socket, program: bytes) -> None:
    """Give the socket its filter, in place of the one that it has."""
    instructions = array.array("B", program)
    address, _ = instructions.buffer_info()
    fprog = PROGRAM.pack(len(program) // INSTRUCTION.size, address)
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)


def open_socket(interface: str, program: bytes) -> socket.socket:
    """Return a socket that gets those frames of the interface that the filter lets pass."""
    with calling("socket"):
        # Protocol 0: it gets nothing yet. With ETH_P_ALL it would at once get every frame of
        # every interface, and have some of them before the filter is there.
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    with calling("setsockopt"):
        attach(sock, program)
        # When the frame came, not when we find the time to read it.
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    with calling("bind"):
        sock.bind((interface, ETH_P_ALL))
    sock.setblocking(False)
    return sock


class Interrupt:
    """SIGINT as something that poll() can wait for, together with frames."""

    def __init__(self) -> None:
        self.has_come = False
        self.fileno, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write_end)
        signal.signal(signal.SIGINT, self._note)

    def _note(self, *_: object) -> None:
        self.has_come = True


def capture(sock: socket.socket, wanted: Settings, interrupt: Interrupt) -> int:
    """Write frames to the file; return how many."""
    captured = 0
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    poll.register(interrupt.fileno, select.POLLIN)
    is_closed = False
    while not wanted.count or captured < wanted.count:
        if interrupt.has_come and not is_closed:
            # What is in the socket is still wanted; but where packets never stop coming, so would
            # we never. A filter that lets nothing pass closes the door.
            attach(sock, NOTHING)
            is_closed = True
        try:
            frame, controls, _, _ = sock.recvmsg(BUFFER_SIZE, socket.CMSG_SPACE(TIMESPEC.size))
        except BlockingIOError:
            if is_closed:
                break
            poll.poll()
            continue
        [(_, _, time)] = controls
        seconds, nanoseconds = TIMESPEC.unpack(time)
        kept = frame[: wanted.most_bytes]
        # In one piece: a reader of a pipe should not find half a record.
        write(RECORD_HEADER.pack(seconds, nanoseconds // 1000, len(kept), len(frame)) + kept)
        captured += 1
    return captured


def main(arguments: list[str]) -> None:
    wanted = settings(arguments)
    interrupt = Interrupt()
    with open_socket(wanted.interface, wanted.program) as sock:
        write(FILE_HEADER.pack(MAGIC, 2, 4, 0, 0, wanted.most_bytes, ETHERNET))
        with calling("recvmsg"):
            captured = capture(sock, wanted, interrupt)
        # All that the filter let pass, and of these what had no room in the socket's buffer.
        with calling("getsockopt"):
            statistics = sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, STATISTICS.size)
        received, dropped = STATISTICS.unpack(statistics)
    print(f"captured={captured} received={received} dropped={dropped}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
