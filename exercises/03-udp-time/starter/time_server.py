#!/usr/bin/env python3
"""Tell the time over UDP, to whoever asks. The task is in README.md.

usage: time_server ADDRESS PORT
"""

import socket
import sys


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: time_server ADDRESS PORT")
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((sys.argv[1], int(sys.argv[2])))
    print("READY", flush=True)
    while True:
        datagram, sender = sock.recvfrom(2048)
        # TODO: is it a request of TIME/1? Then build the answer and send it back.
        print(f"{len(datagram)} bytes from {sender}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
