#!/usr/bin/env python3
"""Send streams of random bytes to clients. The task is in README.md.

usage: random_server [ADDRESS [PORT]]        (0.0.0.0 8089)
"""

import socket
import sys

from random_protocol import parse_request, table


def serve(connection):
    line = connection.makefile("rb").readline()
    wanted = parse_request(line)
    if wanted is not None:
        seed, length = wanted
        # TODO: the stream may be longer than the table, and longer than the memory; the client may
        # read slowly, and may have another request. And who serves the others meanwhile?
        connection.sendall(table(seed)[:length])


def main():
    if len(sys.argv) > 3:
        print("usage: random_server [ADDRESS [PORT]]", file=sys.stderr)
        sys.exit(2)
    address, port = sys.argv[1:] + ["0.0.0.0", "8089"][len(sys.argv) - 1 :]
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, int(port)))
    listener.listen(16)
    print("READY", flush=True)
    while True:
        connection, _ = listener.accept()
        with connection:
            serve(connection)


if __name__ == "__main__":
    main()
