#!/usr/bin/env python3
"""Take in what clients send over TCP, one client after the other. The task is in README.md.

usage: sink_server [ADDRESS [PORT]]        (0.0.0.0 8080)
"""

import socket
import sys


def main() -> None:
    if len(sys.argv) > 3:
        print("usage: sink_server [ADDRESS [PORT]]", file=sys.stderr)
        sys.exit(2)
    address, port = [*sys.argv[1:], *["0.0.0.0", "8080"][len(sys.argv) - 1 :]]
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # TODO: end it, start it again at once, and see what bind() says. Which option helps?
    # TODO: say which call failed, if one does.
    listener.bind((address, int(port)))
    listener.listen(16)
    print("READY", flush=True)
    while True:
        connection, _ = listener.accept()
        with connection:
            # TODO: this takes in what the first recv() returns, and closes before the client does.
            print(f"RECEIVED {len(connection.recv(4096))}", flush=True)


if __name__ == "__main__":
    main()
