#!/usr/bin/env python3
"""Collect messages, and pass each on to whom it concerns. The task is in README.md.

usage: syslogd ADDRESS PORT [FILE]
"""

import socket
import sys


def main() -> None:
    if len(sys.argv) not in (3, 4):
        print("usage: syslogd ADDRESS PORT [FILE]", file=sys.stderr)
        sys.exit(2)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((sys.argv[1], int(sys.argv[2])))
    # TODO: read the rules from FILE; hear @/dev/log as well.
    print("READY", flush=True)
    while True:
        message, sender = udp.recvfrom(65536)
        # TODO: what priority has it, what is missing in front of it, and who is to have it?
        print(f"{sender[0]}: {message!r}", flush=True)


if __name__ == "__main__":
    main()
