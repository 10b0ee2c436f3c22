#!/usr/bin/env python3
"""Send each line of the input to a multicast group. The task is in README.md.

usage: group_sender ADDRESS PORT [-s SOURCE] [-t TTL] [-n]
"""

import errno
import getopt
import socket
import sys


def main() -> None:
    try:
        options, (group, port) = getopt.gnu_getopt(sys.argv[1:], "s:t:n")
    except (getopt.GetoptError, ValueError):
        print("usage: group_sender ADDRESS PORT [-s SOURCE] [-t TTL] [-n]", file=sys.stderr)
        sys.exit(2)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    print(f"TODO: {options}: by which interface, how far, and who hears it?", file=sys.stderr)
    for line in sys.stdin.buffer:
        try:
            sock.sendto(line.rstrip(b"\n"), (group, int(port)))
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0)
            sys.exit(f"error: sendto: {name} ({error.strerror})")


if __name__ == "__main__":
    main()
