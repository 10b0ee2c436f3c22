#!/usr/bin/env python3
"""Send each line back, with a thread for each client. The task is in README.md.

usage: thread_server [ADDRESS [PORT]]        (0.0.0.0 8090)
"""

import socket
import sys


def converse(connection):
    """Serve one client to its end."""
    buffer = b""
    with connection:
        while received := connection.recv(4096):
            whole, end, buffer = (buffer + received).rpartition(b"\n")
            connection.sendall(whole + end)


def main():
    if len(sys.argv) > 3:
        print("usage: thread_server [ADDRESS [PORT]]", file=sys.stderr)
        sys.exit(2)
    address, port = sys.argv[1:] + ["0.0.0.0", "8090"][len(sys.argv) - 1 :]
    with socket.create_server((address, int(port)), backlog=512) as listener:
        print("READY", flush=True)
        while True:
            connection, _ = listener.accept()
            # TODO: in a thread
            converse(connection)


if __name__ == "__main__":
    main()
