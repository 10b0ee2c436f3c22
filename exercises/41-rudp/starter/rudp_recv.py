#!/usr/bin/env python3
"""Receive one file over UDP. The task is in README.md.

usage: rudp_recv ADDRESS PORT [-w PACKETS] [-i MS] [-l MS]
"""

import os
import socket
import sys


def main() -> None:
    if len(sys.argv) < 3:
        print("usage: rudp_recv ADDRESS PORT [-w PACKETS] [-i MS] [-l MS]", file=sys.stderr)
        sys.exit(2)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((sys.argv[1], int(sys.argv[2])))
    while True:
        # TODO: is it a packet, whose, and which one? Sort, write, answer; end after FIN.
        os.write(1, sock.recv(2048))


if __name__ == "__main__":
    main()
