#!/usr/bin/env python3
"""Ask a host over ICMP whether it is there, and how long that takes. The task is in README.md.

usage: icmp_ping [-c N] [-i MS] [-W MS] ADDRESS
"""

import getopt
import socket
import struct
import sys


def main() -> None:
    try:
        given, (address,) = getopt.gnu_getopt(sys.argv[1:], "c:i:W:")
    except (getopt.GetoptError, ValueError):
        print("usage: icmp_ping [-c N] [-i MS] [-W MS] ADDRESS", file=sys.stderr)
        sys.exit(2)
    chosen = {"-c": "4", "-i": "1000", "-W": "1000"} | dict(given)
    # TODO: for an IPv6 address it is AF_INET6 and IPPROTO_ICMPV6, and type 128.
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    for seq in range(int(chosen["-c"])):
        # TODO: the checksum, an identifier, and 56 bytes of data that begin with the time.
        sock.sendto(struct.pack("!BBHHH", 8, 0, 0, 0, seq), (address, 0))
    # TODO: receive, find the replies among what comes, print them and the last line.


if __name__ == "__main__":
    main()
