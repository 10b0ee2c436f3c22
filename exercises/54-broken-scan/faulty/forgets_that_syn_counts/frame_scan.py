#!/usr/bin/env python3
"""Find out whether TCP ports of a host on the same link are open, by frames made by hand.

usage: frame_scan [-W MS] INTERFACE TARGET PORT[,PORT...]

Sends a SYN to each port, from its Ethernet header on, and prints a line for each as soon as it is
known; a port that is silent for MS milliseconds (-W, 1000) is filtered:

    port=80 open
    port=81 closed
    port=82 filtered

Exit 0, or 1 for an error. Needs CAP_NET_RAW.

What it shows: below IP nobody does anything for you. The frame has to go to the one host, which a
program asks for by ARP as the kernel does; and each header has a length or a sum that makes the
next one disappear without a word if it is wrong.
"""

import errno
import fcntl
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

USAGE = "usage: frame_scan [-W MS] INTERFACE TARGET PORT[,PORT...]"

ETH_P_ALL, ETH_P_IP, ETH_P_ARP = 0x0003, 0x0800, 0x0806
SIOCGIFADDR = 0x8915
EVERYBODY = b"\xff" * 6

ETHERNET = struct.Struct("!6s6sH")
# Kinds and sizes of the addresses, operation, then who asks and who is asked for.
ARP = struct.Struct("!HHBBH6s4s6s4s")
WHO_HAS, IS_AT = 1, 2
ARP_WAIT_S = 3.0
# Version and header length, service, total length, identification, fragment, TTL, protocol, sum.
IP = struct.Struct("!BBHHHBBH4s4s")
# Ports, sequence and acknowledgement number, header length, flags, window, sum, urgent pointer.
TCP = struct.Struct("!HHIIBBHHH")
SYN, RST, ACK = 0x02, 0x04, 0x10


class End(NamedTuple):
    """One end of the link."""

    mac: bytes
    address: bytes


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
    with calling("write"):
        os.write(-1 if sys.stdout is None else 1, f"{line}\n".encode())


def number(name: str, text: str, largest: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= largest):
        sys.exit(f'error: {name}: "{text}" is not a number from 1 to {largest}')
    return int(text)


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    words = struct.iter_unpack("!H", data + b"\0" * (len(data) % 2))
    total = sum(word for (word,) in words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def tcp_header(source: End, target: End, source_port: int, port: int, seq: int) -> bytes:
    # The length is in words, and in the upper half of its byte.
    fields = (source_port, port, seq, 0, TCP.size // 4 << 4, SYN, 1024)
    # Of the segment alone: the IP header is not in it.
    pseudo = source.address + target.address
    pseudo += struct.pack("!BBH", 0, socket.IPPROTO_TCP, TCP.size)
    total = checksum(pseudo + TCP.pack(*fields, 0, 0))
    return TCP.pack(*fields, total, 0)


def ip_header(source: End, target: End, size: int) -> bytes:
    words = IP.size // 4
    before = (4 << 4 | words, 0, IP.size + size, 1, 0, 64, socket.IPPROTO_TCP)
    ends = (source.address, target.address)
    return IP.pack(*before, checksum(IP.pack(*before, 0, *ends)), *ends)


def syn(source: End, target: End, source_port: int, port: int, seq: int) -> bytes:
    """Return the whole frame."""
    segment = tcp_header(source, target, source_port, port, seq)
    # To the host itself: what goes to everybody is received by everybody's IP, but TCP takes
    # nothing that was not sent to its host alone.
    ethernet = ETHERNET.pack(target.mac, source.mac, ETH_P_IP)
    return ethernet + ip_header(source, target, len(segment)) + segment


def frames(sock: socket.socket, wait_s: float) -> Iterator[bytes]:
    """Return what is received, for so long."""
    deadline = time.monotonic() + wait_s
    while (left_s := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([sock], [], [], left_s)
        if ready:
            with calling("recv"):
                frame, (_, _, kind, *_) = sock.recvfrom(65536)
            if kind != socket.PACKET_OUTGOING:
                yield frame


def mac_of(sock: socket.socket, source: End, address: bytes) -> bytes:
    """Ask everybody on the link who has the address, as the kernel does."""
    asked = ARP.pack(1, ETH_P_IP, 6, 4, WHO_HAS, *source, bytes(6), address)
    with calling("send"):
        sock.send(ETHERNET.pack(EVERYBODY, source.mac, ETH_P_ARP) + asked)
    for frame in frames(sock, ARP_WAIT_S):
        packet = frame[ETHERNET.size : ETHERNET.size + ARP.size]
        if len(packet) < ARP.size or frame[12:14] != ETH_P_ARP.to_bytes(2, "big"):
            continue
        *_, operation, mac, sender, _, _ = ARP.unpack(packet)
        if operation == IS_AT and sender == address:
            return bytes(mac)
    sys.exit("error: arp: EHOSTUNREACH (No route to host)")


def answer(frame: bytes, source: End, target: End) -> tuple[int, int, int, int] | None:
    """Return ports, acknowledgement number and flags of a segment from there."""
    packet = frame[ETHERNET.size :]
    if len(packet) < IP.size or frame[12:14] != ETH_P_IP.to_bytes(2, "big"):
        return None
    segment = packet[packet[0] % 16 * 4 :]
    if packet[9] != socket.IPPROTO_TCP or len(segment) < TCP.size:
        return None
    if (packet[12:16], packet[16:20]) != (target.address, source.address):
        return None
    port, to, _, acknowledged, _, flags, *_ = TCP.unpack(segment[: TCP.size])
    return port, to, acknowledged, flags


def scan(sock: socket.socket, source: End, target: End, ports: list[int], wait_s: float) -> None:
    """Ask all ports, then hear the answers."""
    source_port = 32768 + int.from_bytes(os.urandom(2), "big") % 28000
    numbers = {port: int.from_bytes(os.urandom(4), "big") for port in ports}
    for port, seq in numbers.items():
        with calling("send"):
            sock.send(syn(source, target, source_port, port, seq))
    for frame in frames(sock, wait_s):
        found = answer(frame, source, target)
        if found is None:
            continue
        port, to, acknowledged, flags = found
        # A SYN takes a number, so its acknowledgement has the next.
        if to != source_port or acknowledged != numbers.get(port, 0):
            continue
        if port not in numbers or not flags & ACK or not flags & (SYN | RST):
            continue
        say(f"port={port} {'closed' if flags & RST else 'open'}")
        del numbers[port]
        if not numbers:
            return
    for port in numbers:
        say(f"port={port} filtered")


def main(arguments: list[str]) -> None:
    try:
        given, (interface, target, listed) = getopt.gnu_getopt(arguments, "W:")
    except (getopt.GetoptError, ValueError):
        print(USAGE, file=sys.stderr)
        sys.exit(2)
    wait_s = number("-W", dict(given).get("-W", "1000"), 60000) / 1000
    ports = [number("port", port, 65535) for port in listed.split(",")]
    try:
        address = socket.inet_pton(socket.AF_INET, target)
    except (OSError, UnicodeError):
        sys.exit(f'error: address: "{target}" is not an IPv4 address')
    with calling("socket"):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    with sock:
        with calling("bind"):
            sock.bind((interface, ETH_P_ALL))
        with calling("ioctl"):
            request = struct.pack("16s24x", interface.encode())
            own = fcntl.ioctl(sock, SIOCGIFADDR, request)[20:24]
        source = End(sock.getsockname()[4], own)
        target_mac = mac_of(sock, source, address)
        scan(sock, source, End(target_mac, address), ports, wait_s)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
