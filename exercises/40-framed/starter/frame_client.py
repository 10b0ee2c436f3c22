#!/usr/bin/env python3
"""Send lines as frames. The task is in README.md.

usage: frame_client ADDRESS PORT
"""

import socket
import sys


def main() -> None:
    if len(sys.argv) != 3:
        print("usage: frame_client ADDRESS PORT", file=sys.stderr)
        sys.exit(2)
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.connect((sys.argv[1], int(sys.argv[2])))
    # TODO: HELLO, a DATA for each line of stdin, GOODBYE; wait for the ACK of each.
    sock.sendall(b"Hello from client!")


if __name__ == "__main__":
    main()
