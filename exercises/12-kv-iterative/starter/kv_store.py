#!/usr/bin/env python3
"""Keep keys and values for clients that come over TCP, one after the other. The task is in README.md.

usage: kv_store [ADDRESS [PORT]]        (0.0.0.0 8085)
"""

import socket
import sys


def serve(connection: socket.socket) -> None:
    """Serve one client until it leaves."""
    # TODO: this takes whatever one recv() returns for one request. It may be half of one, or three.
    request = connection.recv(4096)
    print(f"received {request!r}", file=sys.stderr, flush=True)
    # TODO: carry it out, and go on with the next one.
    connection.sendall(b"ERR not written yet\n")


def main() -> None:
    if len(sys.argv) > 3:
        print("usage: kv_store [ADDRESS [PORT]]", file=sys.stderr)
        sys.exit(2)
    address, port = [*sys.argv[1:], *["0.0.0.0", "8085"][len(sys.argv) - 1 :]]
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # TODO: say which call failed, if one does.
    listener.bind((address, int(port)))
    listener.listen(16)
    print("READY", flush=True)
    while True:
        connection, _ = listener.accept()
        with connection:
            serve(connection)


if __name__ == "__main__":
    main()
