#!/usr/bin/env python3
"""Receive what is sent to measure a network. The task is in README.md.

usage: bench_server [ADDRESS [PORT]]        (0.0.0.0 8095)
"""

import socket
import sys
import threading
import time


def serve_one(connection):
    started_ns = time.monotonic_ns()
    with connection:
        # TODO: the first line says what is wanted: SINK, ECHO or UDP
        size = 0
        while received := connection.recv(65536):
            size += len(received)
        # TODO: is that the time in which the bytes came?
        connection.sendall(b"%d %d\n" % (size, time.monotonic_ns() - started_ns))


def main():
    if len(sys.argv) > 3:
        print("usage: bench_server [ADDRESS [PORT]]", file=sys.stderr)
        sys.exit(2)
    address, port = sys.argv[1:] + ["0.0.0.0", "8095"][len(sys.argv) - 1 :]
    with socket.create_server((address, int(port))) as listener:
        print("READY", flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve_one, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
