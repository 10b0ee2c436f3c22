#!/usr/bin/env python3
"""Ask a host over ICMP whether it is there, and how long that takes: IPv4 and IPv6.

usage: icmp_ping [-c N] [-i MS] [-W MS] ADDRESS

Sends N echo requests (4), one each MS milliseconds (-i, 1000), whether or not they are answered.
Ends when each has been answered, or MS milliseconds (-W, 1000) after the last.

stdout, a line for each answer and one at the end:

    reply seq=0 from=10.0.2.2 ttl=63 rtt_us=412
    error seq=1 from=10.0.1.1 type=3 code=0
    sent=2 received=1 errors=1 dup=0 rtt_us=412/412/412

Exit 0 somebody replied, 1 error, 3 nobody did. Needs CAP_NET_RAW.

What it shows: ICMP has no ports. Every raw socket of the machine gets a copy of every message, so
a program finds its own by an identifier; and it need not remember when it asked what, since the
answer brings the question's data back.
"""

import errno
import getopt
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

USAGE = "usage: icmp_ping [-c N] [-i MS] [-W MS] ADDRESS"
NO_REPLY = 3

# Type, code, checksum, identifier, sequence number; then the data.
ECHO = struct.Struct("!BBHHH")
TIMESTAMP = struct.Struct("!Q")
DATA_BYTES = 56

BUFFER_SIZE = 65536

# netinet/icmp6.h; Python has no names for them.
ICMP6_FILTER = 1
ICMP6_FILTER_BYTES = 32


class Family(NamedTuple):
    """What differs between the two."""

    number: int
    protocol: int
    request: int
    """The type of an echo request."""
    reply: int
    errors: tuple[int, ...]
    """The types that bring back the beginning of the packet that could not be delivered."""


# Unreachable, time exceeded, parameter problem; IPv6 has one more, packet too big.
IPV4 = Family(socket.AF_INET, socket.IPPROTO_ICMP, 8, 0, (3, 11, 12))
IPV6 = Family(socket.AF_INET6, socket.IPPROTO_ICMPV6, 128, 129, (1, 2, 3, 4))


class Arrived(NamedTuple):
    """An ICMP message that came, and from whom."""

    message: bytes
    sender: str
    ttl: int


class Settings(NamedTuple):
    """What the user asked for."""

    address: str
    family: Family
    count: int
    interval_s: float
    wait_s: float


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Turn the failure of a system call into one line on stderr and exit code 1."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        sys.exit(f"error: {call}: {name} ({error.strerror})")


def say(line: str) -> None:
    """Write a line at once: print() keeps it back when the output is a pipe or a file."""
    # Started with `>&-`, our own socket would be descriptor 1: make the call fail instead.
    with calling("write"):
        os.write(-1 if sys.stdout is None else 1, f"{line}\n".encode())


def settings(arguments: list[str]) -> Settings:
    """Check what the user typed."""
    try:
        given, (address,) = getopt.gnu_getopt(arguments, "c:i:W:")
    except (getopt.GetoptError, ValueError):
        print(USAGE, file=sys.stderr)
        sys.exit(2)
    chosen = {"-c": "4", "-i": "1000", "-W": "1000"} | dict(given)
    for name, largest in (("-c", 1000), ("-i", 60000), ("-W", 60000)):
        text = chosen[name]
        if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= largest):
            sys.exit(f'error: {name}: "{text}" is not a number from 1 to {largest}')
    count, interval_ms, wait_ms = (int(chosen[name]) for name in ("-c", "-i", "-W"))
    return Settings(address, family_of(address), count, interval_ms / 1000, wait_ms / 1000)


def family_of(address: str) -> Family:
    """Tell an IPv4 address from an IPv6 one. Names are not looked up."""
    for family in (IPV4, IPV6):
        try:
            socket.inet_pton(family.number, address)
        except (OSError, UnicodeError):
            continue
        return family
    sys.exit(f'error: address: "{address}" is neither an IPv4 nor an IPv6 address')


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071); 0 for data whose checksum is in it and right."""
    if len(data) % 2:
        data += b"\0"
    total = sum(word for (word,) in struct.iter_unpack("!H", data))
    # The carries are added again at the low end; adding them may carry once more.
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo_request(family: Family, identifier: int, seq: int) -> bytes:
    """Build a request whose data begins with the time: it comes back with the reply."""
    # The monotonic clock: it does not jump when somebody sets the time of day.
    data = TIMESTAMP.pack(time.time_ns()).ljust(DATA_BYTES, b"\xa5")
    message = ECHO.pack(family.request, 0, 0, identifier, seq) + data
    if family is IPV6:
        # It covers the addresses too, which the kernel chooses later: the kernel fills it in.
        return message
    return ECHO.pack(family.request, 0, checksum(message), identifier, seq) + data


def open_socket(family: Family) -> socket.socket:
    with calling("socket"):
        # Not connected: a connected one hears the other end only, and so no router.
        sock = socket.socket(family.number, socket.SOCK_RAW, family.protocol)
    if family is IPV6:
        # A bit that is set keeps the type out. Without it each neighbour solicitation that
        # arrives here would wake us, and each echo request.
        blocked = bytearray(b"\xff" * ICMP6_FILTER_BYTES)
        for kind in (family.reply, *family.errors):
            # 32-bit words in the byte order of the machine.
            place = kind // 32 * 4 + (
                kind % 32 // 8 if sys.byteorder == "little" else 3 - kind % 32 // 8
            )
            blocked[place] &= ~(1 << kind % 8)
        with calling("setsockopt"):
            sock.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, bytes(blocked))
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    return sock


def receive(sock: socket.socket, family: Family) -> Arrived | None:
    """Return the next message, or None for one that nobody should believe."""
    with calling("recvmsg"):
        packet, ancillary, _, name = sock.recvmsg(BUFFER_SIZE, socket.CMSG_SPACE(4))
    if family is IPV6:
        # Without its header, and the kernel has compared the checksum.
        hops = -1
        for level, kind, value in ancillary:
            if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT):
                (hops,) = struct.unpack("=i", value)
        return Arrived(packet, name[0], hops)
    # With its header, which is longer than 20 bytes if there are options. The kernel gives raw
    # sockets their copy before it looks at the checksum of the message.
    header = (packet[0] & 0xF) * 4
    message = packet[header:]
    return Arrived(message, name[0], packet[8]) if checksum(message) == 0 else None


def quoted_echo(family: Family, message: bytes, target: str) -> bytes:
    """Return the echo header that an error message quotes, if it is of a packet to our target."""
    quoted = message[ECHO.size :]
    if family is IPV6:
        header, protocol, destination = 40, quoted[6:7], quoted[24:40]
    else:
        header, protocol, destination = (
            (quoted[:1] or b"\0")[0] % 16 * 4,
            quoted[9:10],
            quoted[16:20],
        )
    is_ours = protocol == bytes([family.protocol]) and destination == socket.inet_pton(
        family.number, target
    )
    return quoted[header : header + ECHO.size] if is_ours else b""


class Pinger:
    """What has been asked so far, and what was answered."""

    def __init__(self, sock: socket.socket, asked: Settings) -> None:
        self.sock = sock
        self.asked = asked
        # The pid was the custom. But it is no longer one of its own: in each container the first
        # program is pid 1 or 2, and all of them may share one network.
        self.identifier = int.from_bytes(os.urandom(2), "big")
        self.sent = 0
        self.errors = 0
        self.duplicates = 0
        self.rtts_us: dict[int, int] = {}
        """By sequence number; the first reply counts."""
        self.failed: set[int] = set()

    def run(self) -> None:
        """Send what is due, take what comes, until all is answered or it is too late."""
        next_send_s = time.monotonic()
        while not self.has_all():
            now_s = time.monotonic()
            if now_s >= next_send_s:
                if self.sent == self.asked.count:
                    return
                self.send()
                is_last = self.sent == self.asked.count
                next_send_s = now_s + (self.asked.wait_s if is_last else self.asked.interval_s)
            left_s = max(0.0, next_send_s - time.monotonic())
            if select.select([self.sock], [], [], left_s)[0]:
                arrived = receive(self.sock, self.asked.family)
                if arrived:
                    self.take(arrived, time.time_ns())

    def has_all(self) -> bool:
        return len(self.rtts_us.keys() | self.failed) == self.asked.count

    def send(self) -> None:
        request = echo_request(self.asked.family, self.identifier, self.sent)
        with calling("sendto"):
            self.sock.sendto(request, (self.asked.address, 0))
        self.sent += 1

    def take(self, arrived: Arrived, now_ns: int) -> None:
        """Print the message if it is an answer to one of our requests."""
        family = self.asked.family
        message = arrived.message
        if len(message) < ECHO.size:
            return
        kind, code = message[0], message[1]
        if kind == family.reply:
            self.take_reply(arrived, now_ns)
        elif kind in family.errors:
            # Anybody on the way may send it, so the sender says nothing: the quotation does.
            quoted = quoted_echo(family, message, self.asked.address)
            if len(quoted) < ECHO.size:
                return
            quoted_kind, _, _, identifier, seq = ECHO.unpack(quoted)
            if (quoted_kind, identifier) == (family.request, self.identifier) and seq < self.sent:
                self.errors += 1
                self.failed.add(seq)
                say(f"error seq={seq} from={arrived.sender} type={kind} code={code}")

    def take_reply(self, arrived: Arrived, now_ns: int) -> None:
        _, _, _, identifier, seq = ECHO.unpack(arrived.message[: ECHO.size])
        data = arrived.message[ECHO.size :]
        if identifier != self.identifier or seq >= self.sent or len(data) < TIMESTAMP.size:
            return
        if socket.inet_pton(self.asked.family.number, arrived.sender) != socket.inet_pton(
            self.asked.family.number, self.asked.address
        ):
            return
        (sent_ns,) = TIMESTAMP.unpack(data[: TIMESTAMP.size])
        rtt_us = (now_ns - sent_ns) // 1000
        word = "dup" if seq in self.rtts_us else "reply"
        if word == "dup":
            self.duplicates += 1
        else:
            self.rtts_us[seq] = rtt_us
        say(f"{word} seq={seq} from={arrived.sender} ttl={arrived.ttl} rtt_us={rtt_us}")

    def summary(self) -> str:
        rtts = self.rtts_us.values()
        line = f"sent={self.sent} received={len(rtts)} errors={self.errors} dup={self.duplicates}"
        if rtts:
            line += f" rtt_us={min(rtts)}/{sum(rtts) // len(rtts)}/{max(rtts)}"
        return line


def main(arguments: list[str]) -> None:
    asked = settings(arguments)
    with open_socket(asked.family) as sock:
        pinger = Pinger(sock, asked)
        pinger.run()
    say(pinger.summary())
    sys.exit(0 if pinger.rtts_us else NO_REPLY)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
