#!/usr/bin/env python3
"""Wait for clients on many ports, and start a server for whoever comes. The task is in README.md.

usage: inetd FILE
"""

import os
import signal
import socket
import sys


def listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", port))
    listener.listen(128)
    return listener


def main() -> None:
    if len(sys.argv) != 2:
        print("usage: inetd FILE", file=sys.stderr)
        sys.exit(2)
    with open(sys.argv[1]) as file:
        words = [line.split() for line in file if line.strip() and not line.startswith("#")]
    # TODO: all lines at once; wait and nowait; dgram; internal; SIGCHLD and SIGHUP; bad lines.
    port, _, _, _, _, server, *arguments = words[0]
    listener = listen(int(port))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    print("READY", flush=True)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            # TODO: the server reads from 0 and writes to 1: make these the connection.
            os.execv(server, arguments)
        connection.close()


if __name__ == "__main__":
    main()
