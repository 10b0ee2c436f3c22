#!/usr/bin/env python3
"""Capture the packets of an interface that a filter lets pass. The task is in README.md.

usage: sniff [-c COUNT] [-s BYTES] INTERFACE FILTER > FILE
"""

import getopt
import os
import socket
import struct
import sys

ETH_P_ALL = 0x0003


def main() -> None:
    try:
        given, (interface, _) = getopt.gnu_getopt(sys.argv[1:], "c:s:")
    except (getopt.GetoptError, ValueError):
        print("usage: sniff [-c COUNT] [-s BYTES] INTERFACE FILTER > FILE", file=sys.stderr)
        sys.exit(2)
    count = int(dict(given).get("-c", "1"))
    # TODO: the filter, before any frame is there; the time; only one interface.
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    os.write(1, struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
    sock.settimeout(5)
    for _ in range(count):
        frame = sock.recv(65536)
        print(f"{len(frame)} bytes on {interface} or elsewhere", file=sys.stderr)
        # TODO: a record with the frame. Then Ctrl-C, and the line at the end.


if __name__ == "__main__":
    main()
