#!/usr/bin/env python3
"""Bind a socket to an address and a port, and hold it there. The task is in README.md.

usage: addrbind ADDRESS PORT [udp|tcp]
"""

import socket
import sys


def main() -> None:
    if len(sys.argv) not in (3, 4):
        print("usage: addrbind ADDRESS PORT [udp|tcp]", file=sys.stderr)
        sys.exit(2)
    address, port = sys.argv[1], int(sys.argv[2])
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # TODO: bind it, and say what is wrong if that fails. Print what the kernel says it is bound to.
    print(f"bound to {address}:{port}", flush=True)
    print("READY", flush=True)
    # TODO: keep the socket until the input ends.
    sock.close()


if __name__ == "__main__":
    main()
