#!/usr/bin/env python3
"""Answer the frames of clients. The task is in README.md.

usage: frame_server ADDRESS PORT [-i MS] [-n CONNECTIONS]
"""

import socket
import sys


def main() -> None:
    if len(sys.argv) < 3:
        print("usage: frame_server ADDRESS PORT [-i MS] [-n CONNECTIONS]", file=sys.stderr)
        sys.exit(2)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((sys.argv[1], int(sys.argv[2])))
    listener.listen(128)
    print("READY", flush=True)
    while True:
        connection, sender = listener.accept()
        with connection:
            header = connection.recv(24)
            # TODO: take the frames from the stream, check them, answer each; many clients at once.
            print(f"{len(header)} bytes from {sender}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
