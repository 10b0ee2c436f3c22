#!/usr/bin/env python3
"""Send what comes on stdin to a TCP server. The task is in README.md.

usage: simple_nc ADDRESS PORT
"""

import socket
import sys


def main() -> None:
    if len(sys.argv) != 3:
        print("usage: simple_nc ADDRESS PORT", file=sys.stderr)
        sys.exit(2)
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # TODO: say which call failed, if one does.
    sock.connect((sys.argv[1], int(sys.argv[2])))
    # TODO: this sends the first line. Send everything, as it comes, whatever bytes it is.
    sock.send(sys.stdin.readline().encode())
    # TODO: at the end of the input tell the server, and wait until it has closed too.


if __name__ == "__main__":
    main()
