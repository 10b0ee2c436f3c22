#!/usr/bin/env python3
"""Ask a time server by how much the own clock is wrong.

usage: sntp_client ADDRESS PORT [-b] [-t MS]

Protocol: SNTP, see ntp_protocol.py. Waits MS milliseconds (1000) for an answer. With -b it asks
nobody: it waits at its own ADDRESS and PORT for what a server tells everybody.

stdout: ``sntp stratum=N offset_us=N delay_us=N error_us=N time=N``. Exit 0 answered, 1 error, 3 no
answer, 4 refused, 5 the server wants not to be asked.

What it shows: of four times, two by each clock, the offset comes out as if both ways took equally
long. By how much that may be wrong is known: by half of the round trip, and not less.
"""

import errno
import getopt
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ntp_protocol import (
    BROADCAST,
    CLIENT,
    NOT_SYNCHRONIZED,
    SERVER,
    Packet,
    difference,
    microseconds,
    now,
    pack,
    unix_seconds,
    unpack,
)

NO_ANSWER, REFUSED, KISSED = 3, 4, 5


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Turn the failure of a system call into one line on stderr and an exit code."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        print(f"error: {call}: {name} ({error.strerror})", file=sys.stderr)
        sys.exit(REFUSED if error.errno == errno.ECONNREFUSED else 1)


def options(arguments: list[str]) -> tuple[str, int, bool, float]:
    """Check what the user typed; return address, port, whether to listen only, and seconds."""
    try:
        given, (address, port) = getopt.gnu_getopt(arguments, "bt:")
    except (getopt.GetoptError, ValueError):
        print("usage: sntp_client ADDRESS PORT [-b] [-t MS]", file=sys.stderr)
        sys.exit(2)
    chosen = {"-t": "1000"} | dict(given)
    try:
        socket.inet_pton(socket.AF_INET, address)
    except (OSError, UnicodeError):
        sys.exit(f'error: address: "{address}" is not an IPv4 address')
    for name, text, largest in (("port", port, 65535), ("-t", chosen["-t"], 60000)):
        if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= largest):
            sys.exit(f'error: {name}: "{text}" is not a number from 1 to {largest}')
    return address, int(port), "-b" in chosen, int(chosen["-t"]) / 1000


def is_answer(packet: Packet, mode: int, asked: int) -> bool:
    """Whether the packet is what we wait for (RFC 4330, section 5)."""
    if packet.mode != mode or packet.transmit == 0:
        return False
    # The transmit timestamp of our request comes back. Who does not see our packets cannot know
    # it, so this is all that protects us from forged answers, and from late ones.
    if mode == SERVER and (packet.originate != asked or packet.version != 4):
        return False
    # Stratum 0 says something else than the time, in `reference_id`.
    return packet.stratum == 0 or (packet.leap != NOT_SYNCHRONIZED and packet.stratum <= 15)


def wait_for(sock: socket.socket, mode: int, asked: int, wait_s: float) -> tuple[Packet, int]:
    """Return the answer and the time of its arrival; ends the program where none comes."""
    deadline = time.monotonic() + wait_s
    while (left_s := deadline - time.monotonic()) > 0:
        sock.settimeout(left_s)
        with calling("recv"):
            try:
                datagram = sock.recv(2048)
            except TimeoutError:
                break
        arrived = now()  # before anything else is done: each microsecond later is an error
        packet = unpack(datagram)
        if packet and is_answer(packet, mode, asked):
            return packet, arrived
    print("error: no answer", file=sys.stderr)
    sys.exit(NO_ANSWER)


def report(packet: Packet, offset: int, delay: int) -> None:
    """Print what the packet means; offset and delay are in units of 2**-32 s."""
    # The answer is as old as the way back, which is somewhere between nothing and the whole delay;
    # and the server's own clock is as wrong as it says itself.
    error_us = (
        microseconds(abs(delay), 33)
        + microseconds(packet.root_delay, 17)
        + microseconds(packet.root_dispersion, 16)
    )
    print(
        f"sntp stratum={packet.stratum} offset_us={microseconds(offset, 32)} "
        f"delay_us={microseconds(delay, 32)} error_us={error_us} "
        f"time={unix_seconds(packet.transmit)}",
        flush=True,
    )


def main(arguments: list[str]) -> None:
    address, port, listens_only, wait_s = options(arguments)
    with calling("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        sent = 0
        if listens_only:
            with calling("bind"):
                sock.bind((address, port))
            print("READY", flush=True)
        else:
            with calling("connect"):
                sock.connect((address, port))
            sent = now()
            with calling("send"):
                sock.send(pack(Packet(mode=CLIENT, transmit=sent)))
        mode = BROADCAST if listens_only else SERVER
        packet, arrived = wait_for(sock, mode, sent, wait_s)
    if packet.stratum == 0:
        code = packet.reference_id.rstrip(b"\0").decode(errors="backslashreplace")
        # Go away, and do not ask again at once: a program that would is why this exists.
        print(f"error: kiss of death: {ascii(code)[1:-1]}", file=sys.stderr)
        sys.exit(KISSED)
    back = difference(packet.transmit, arrived)
    if listens_only:
        # One time of each clock: nobody knows how long the packet was on its way.
        report(packet, back, 0)
    else:
        there = difference(packet.receive, sent)
        report(packet, (there + back) // 2, difference(arrived, sent))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
