#!/usr/bin/env python3
"""Send the input over UDP. The task is in README.md.

usage: rudp_send ADDRESS PORT [-t MS] [-n TRIES]
"""

import socket
import sys


def main() -> None:
    if len(sys.argv) < 3:
        print("usage: rudp_send ADDRESS PORT [-t MS] [-n TRIES]", file=sys.stderr)
        sys.exit(2)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((sys.argv[1], int(sys.argv[2])))
    # TODO: SYN, numbers, a window, ACKs, a clock, FIN. This hopes that all of it arrives.
    while part := sys.stdin.buffer.read(1000):
        sock.send(part)


if __name__ == "__main__":
    main()
