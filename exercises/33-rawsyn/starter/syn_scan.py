#!/usr/bin/env python3
"""Find out whether TCP ports are open, without making a connection. The task is in README.md.

usage: syn_scan [-n TRIES] [-W MS] ADDRESS PORT[,PORT...]
"""

import getopt
import socket
import struct
import sys


def main() -> None:
    try:
        given, (address, ports) = getopt.gnu_getopt(sys.argv[1:], "n:W:")
    except (getopt.GetoptError, ValueError):
        print("usage: syn_scan [-n TRIES] [-W MS] ADDRESS PORT[,PORT...]", file=sys.stderr)
        sys.exit(2)
    chosen = {"-n": "2", "-W": "1000"} | dict(given)
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    for port in map(int, ports.split(",")):
        # TODO: a source port, a random sequence number, the checksum; then hear what comes back.
        sock.sendto(struct.pack("!HHIIBBHHH", 0, port, 0, 0, 5 << 4, 2, 0, 0, 0), (address, 0))
    sock.settimeout(int(chosen["-W"]) / 1000)


if __name__ == "__main__":
    main()
