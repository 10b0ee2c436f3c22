#!/usr/bin/env python3
"""Send each line of the input to a multicast group.

usage: group_sender ADDRESS PORT [-s SOURCE] [-t TTL] [-n]

ADDRESS is the group. SOURCE is this host's own address, and so says by which interface; TTL (1) is
how many routers may pass the datagrams on, and one more. With -n members on this host get none.

What it shows: who sends to a group need not be in it. Which interface, how far, and whether the own
host hears it are options of the socket, because no address in the datagram says so.
"""

import errno
import getopt
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Turn the failure of a system call into one line on stderr and exit code 1."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        sys.exit(f"error: {call}: {name} ({error.strerror})")


def options(arguments: list[str]) -> tuple[str, int, str, int, bool]:
    """Check what the user typed; return group, port, source, TTL and whether we hear ourselves."""
    try:
        given, (address, port) = getopt.gnu_getopt(arguments, "s:t:n")
    except (getopt.GetoptError, ValueError):
        print("usage: group_sender ADDRESS PORT [-s SOURCE] [-t TTL] [-n]", file=sys.stderr)
        sys.exit(2)
    chosen = {"-s": "0.0.0.0", "-t": "1"} | dict(given)
    for name, text in (("address", address), ("-s", chosen["-s"])):
        try:
            socket.inet_pton(socket.AF_INET, text)
        except (OSError, UnicodeError):
            sys.exit(f'error: {name}: "{text}" is not an IPv4 address')
    for name, text, least, most in (("port", port, 1, 65535), ("-t", chosen["-t"], 0, 255)):
        if not (
            text.isascii() and text.isdigit() and len(text) <= 5 and least <= int(text) <= most
        ):
            sys.exit(f'error: {name}: "{text}" is not a number from {least} to {most}')
    return address, int(port), chosen["-s"], int(chosen["-t"]), "-n" not in chosen


def main(arguments: list[str]) -> None:
    group, port, source, ttl, hears_itself = options(arguments)
    with calling("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        with calling("setsockopt"):
            # The interface that has this address, which also becomes the source. Without it the
            # route to the group decides, and a host without a default route has none: ENETUNREACH.
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(source))
            # Not IP_TTL: that is for unicast alone, so that 64 is never used for a group by mistake.
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
            # The sender's option: on Linux the kernel copies on the way out.
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        for line in sys.stdin.buffer:
            with calling("sendto"):
                sock.sendto(line.rstrip(b"\n"), (group, port))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for a program that Ctrl-C ended
