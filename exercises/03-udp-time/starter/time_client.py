#!/usr/bin/env python3
"""Ask a time server for the time. The task is in README.md.

usage: time_client ADDRESS PORT
"""

import socket
import sys


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: time_client ADDRESS PORT")
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((sys.argv[1], int(sys.argv[2])))
    # TODO: send a request, wait for the answer, print `time seq=… ns=… rtt_us=… tries=1`.
    sock.send(b"time?")


if __name__ == "__main__":
    main()
