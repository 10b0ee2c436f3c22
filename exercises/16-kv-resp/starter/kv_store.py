#!/usr/bin/env python3
"""Keep keys and values for clients that speak the protocol of redis. The task is in README.md.

usage: kv_store [ADDRESS [PORT]]        (0.0.0.0 6379)
"""

import socket
import sys
import threading


def serve(connection: socket.socket) -> None:
    """Serve one client until it leaves."""
    with connection:
        while received := connection.recv(4096):
            print(f"received {received!r}", file=sys.stderr, flush=True)
            # TODO: find the commands in what has come, and carry them out.
            connection.sendall(b"-ERR not written yet\r\n")


def main() -> None:
    if len(sys.argv) > 3:
        print("usage: kv_store [ADDRESS [PORT]]", file=sys.stderr)
        sys.exit(2)
    address, port = [*sys.argv[1:], *["0.0.0.0", "6379"][len(sys.argv) - 1 :]]
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, int(port)))
    listener.listen(128)
    print("READY", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
