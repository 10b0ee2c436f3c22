#!/usr/bin/env python3
"""Tell the time by SNTP, to whoever asks. The task is in README.md.

usage: sntp_server ADDRESS PORT [-d MS]
"""

import getopt
import socket
import sys


def main() -> None:
    try:
        _, (address, port) = getopt.gnu_getopt(sys.argv[1:], "d:")
    except (getopt.GetoptError, ValueError):
        print("usage: sntp_server ADDRESS PORT [-d MS]", file=sys.stderr)
        sys.exit(2)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, int(port)))
    print("READY", flush=True)
    while True:
        datagram, sender = sock.recvfrom(2048)
        # TODO: is it a question? Then answer it, with the four times that the table names.
        print(f"{len(datagram)} bytes from {sender}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
