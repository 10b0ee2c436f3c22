#!/usr/bin/env python3
"""Take TCP through its stages one system call at a time. The task is in README.md.

usage: byte_sink [ADDRESS [PORT]]        (0.0.0.0 8080)
"""

import socket
import sys


def main() -> None:
    if len(sys.argv) > 3:
        print("usage: byte_sink [ADDRESS [PORT]]", file=sys.stderr)
        sys.exit(2)
    address, port = [*sys.argv[1:], *["0.0.0.0", "8080"][len(sys.argv) - 1 :]]
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    for line in sys.stdin:
        match line.split():
            case ["b"]:
                # TODO: say which call failed, if one does.
                listener.bind((address, int(port)))
                address, port = listener.getsockname()
                print(f"BOUND {address}:{port}", flush=True)
            # TODO: l N, a, r N and c: for each one system call and one line.
            case ["q"]:
                return
            case _:
                print("ERROR not written yet", flush=True)


if __name__ == "__main__":
    main()
