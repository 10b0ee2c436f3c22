#!/usr/bin/env python3
"""Send every byte of a TCP client back. The reports about it are in README.md.

usage: echo_stream [ADDRESS [PORT]]        (0.0.0.0 8080)
"""

# TODO: find the mistakes behind the reports in README.md, and mend them.

import socket
import sys

BUFFER_SIZE = 65536


class Text:
    """A buffer that ends with a zero byte, as strings do."""

    def __init__(self, size):
        self.bytes = bytearray(size)

    def receive(self, connection):
        """Receive into the buffer, and leave room for the zero byte; return whether any came."""
        count = connection.recv_into(self.bytes, len(self.bytes) - 1)
        self.bytes[count] = 0
        return count > 0

    def text(self):
        return bytes(self.bytes[: self.bytes.index(0)])


def echo(connection):
    # A client that takes nothing for half a minute is not worth waiting for.
    connection.settimeout(30)
    buffer = Text(BUFFER_SIZE)
    while buffer.receive(connection):
        connection.send(buffer.text())
    connection.close()


def main():
    if len(sys.argv) > 3:
        print("usage: echo_stream [ADDRESS [PORT]]", file=sys.stderr)
        sys.exit(2)
    address = sys.argv[1] if len(sys.argv) > 1 else "0.0.0.0"
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 8080
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # The server can be restarted at once.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR | socket.SO_REUSEPORT, 1)
    try:
        listener.bind((address, port))
    except OSError as error:
        sys.exit(f"error: bind: EADDRINUSE ({error.strerror})")
    listener.listen(10)
    print("READY", flush=True)
    while True:
        connection, client = listener.accept()
        print(f"accepted {client[0]}:{client[1]}", flush=True)
        echo(connection)


if __name__ == "__main__":
    main()
