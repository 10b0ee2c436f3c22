#!/usr/bin/env python3
"""Send datagrams to many from one UDP socket. The task is in README.md.

usage: udp_probe NAME
"""

import socket
import sys


def main() -> None:
    if len(sys.argv) != 2:
        print("usage: udp_probe NAME", file=sys.stderr)
        sys.exit(2)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # TODO: connect to icmpd, give it the socket, and print what it tells.
    print("READY", flush=True)
    for line in sys.stdin:
        address, port = line.split()
        udp.sendto(b"probe", (address, int(port)))


if __name__ == "__main__":
    main()
