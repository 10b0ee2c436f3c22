#!/usr/bin/env python3
"""Turn the knobs of a TCP socket, and ask the kernel about them. The task is in README.md.

usage: sockopts ADDRESS PORT
"""

import errno
import socket
import sys

NUMBERS = {
    "rcvbuf": (socket.SOL_SOCKET, socket.SO_RCVBUF),
    "sndbuf": (socket.SOL_SOCKET, socket.SO_SNDBUF),
}


def obey(sock, server, words):
    """Carry out one command and return the answer."""
    match words:
        # TODO: nodelay, keepalive, linger, maxseg, rcvtimeo, and `get error`
        case ["set", name, value] if name in NUMBERS:
            sock.setsockopt(*NUMBERS[name], int(value))
            return "ok"
        case ["get", name] if name in NUMBERS:
            return str(sock.getsockopt(*NUMBERS[name]))
        case ["connect"]:
            sock.connect(server)
            return "ok"
        case ["send", size]:
            return str(sock.send(b"x" * int(size)))
        case ["recv", size]:
            return str(len(sock.recv(int(size))))
        case ["close"]:
            sock.close()
            return "ok"
        case _:
            return "usage: set NAME VALUE, get NAME, connect, send BYTES, recv BYTES, close"


def main():
    if len(sys.argv) != 3:
        print("usage: sockopts ADDRESS PORT", file=sys.stderr)
        sys.exit(2)
    server = (sys.argv[1], int(sys.argv[2]))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        for line in sys.stdin:
            try:
                answer = obey(sock, server, line.split())
            except OSError as error:
                answer = f"error {errno.errorcode.get(error.errno)}"
            print(answer, flush=True)


if __name__ == "__main__":
    main()
