#!/usr/bin/env python3
"""Ask a time server by how much the own clock is wrong. The task is in README.md.

usage: sntp_client ADDRESS PORT [-b] [-t MS]
"""

import getopt
import socket
import sys


def main() -> None:
    try:
        given, (address, port) = getopt.gnu_getopt(sys.argv[1:], "bt:")
    except (getopt.GetoptError, ValueError):
        print("usage: sntp_client ADDRESS PORT [-b] [-t MS]", file=sys.stderr)
        sys.exit(2)
    chosen = {"-t": "1000"} | dict(given)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((address, int(port)))
    sock.settimeout(int(chosen["-t"]) / 1000)
    # TODO: version 4, mode 3, and when this was sent, by our clock.
    sock.send(bytes(48))
    try:
        sock.recv(2048)
    except TimeoutError:
        print("error: no answer", file=sys.stderr)
        sys.exit(3)
    # TODO: is it an answer to that? Then: offset, delay, and how wrong they may be.


if __name__ == "__main__":
    main()
