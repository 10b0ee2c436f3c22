#!/usr/bin/env python3
"""Serve the files of the current directory. The task is in README.md.

usage: file_server [ADDRESS [PORT]]        (0.0.0.0 8082)
"""

import errno
import os
import socket
import sys
import threading


def answer(connection, line):
    """Carry out one request."""
    verb, _, name = line.partition(b" ")
    # TODO: which names are served, and what is said of the others?
    if verb != b"GET":
        connection.sendall(b"error EINVAL\n")
        return
    try:
        file = os.open(name, os.O_RDONLY)
    except OSError as error:
        connection.sendall(f"error {errno.errorcode.get(error.errno)}\n".encode())
        return
    # TODO: send it without reading it; and close it, whatever happens
    data = os.read(file, os.fstat(file).st_size)
    connection.sendall(b"%d\n" % len(data))
    connection.sendall(data)
    os.close(file)


def serve_one(connection):
    buffer = b""
    with connection:
        while True:
            line, end, rest = buffer.partition(b"\n")
            if end:
                answer(connection, line)
                buffer = rest
                continue
            received = connection.recv(4096)
            if not received:
                return
            buffer += received


def main():
    if len(sys.argv) > 3:
        print("usage: file_server [ADDRESS [PORT]]", file=sys.stderr)
        sys.exit(2)
    address, port = sys.argv[1:] + ["0.0.0.0", "8082"][len(sys.argv) - 1 :]
    with socket.create_server((address, int(port)), backlog=64) as listener:
        print("READY", flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve_one, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
