#!/usr/bin/env python3
"""Send each datagram back, cut to the 64 bytes of the buffer. The task is in README.md.

usage: echo_server [ADDRESS [PORT]]        (0.0.0.0 5678)
"""

import socket
import sys

BUFFER_SIZE = 64


def main() -> None:
    if len(sys.argv) > 3:
        print("usage: echo_server [ADDRESS [PORT]]", file=sys.stderr)
        sys.exit(2)
    address = sys.argv[1] if len(sys.argv) > 1 else "0.0.0.0"
    port = sys.argv[2] if len(sys.argv) > 2 else "5678"
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, int(port)))
    print("READY", flush=True)
    while True:
        text = sock.recv(BUFFER_SIZE)
        # TODO: what if the datagram was longer, and what if it is empty?
        # TODO: to whom does the answer go?
        print(f"recv={len(text)}", flush=True)


if __name__ == "__main__":
    main()
