#!/usr/bin/env python3
"""Fetch a stream of random bytes and write it to stdout. The task is in README.md.

usage: random_client ADDRESS PORT [-s SEED] [-n LENGTH] [-b BYTES] [-i]
"""

import getopt
import socket
import sys

from random_protocol import request


def main():
    try:
        options, (address, port) = getopt.gnu_getopt(sys.argv[1:], "s:n:b:i")
    except (getopt.GetoptError, ValueError):
        usage = "usage: random_client ADDRESS PORT [-s SEED] [-n LENGTH] [-b BYTES] [-i]"
        print(usage, file=sys.stderr)
        sys.exit(2)
    given = dict(options)
    seed, length = int(given.get("-s", "1")), int(given.get("-n", "1048576"))
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # TODO: -b BYTES
    sock.connect((address, int(port)))
    sock.sendall(request(seed, length))
    # TODO: LENGTH bytes, all of them; with -i as many as each line of the input says.
    sys.stdout.buffer.write(sock.recv(length))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
