#!/usr/bin/env python3
"""Tell the time to whoever connects. The task is in README.md.

usage: daytime_server ADDRESS PORT
"""

import socket
import sys


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: daytime_server ADDRESS PORT")
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((sys.argv[1], int(sys.argv[2])))
    listener.listen()
    print("READY", flush=True)
    while True:
        connection, client = listener.accept()
        # TODO: tell the time, and close.
        print(f"{client} has connected", file=sys.stderr, flush=True)
        connection.close()


if __name__ == "__main__":
    main()
