#!/usr/bin/env python3
"""Talk to a key-value store from the keyboard. The task is in README.md.

usage: kv_client ADDRESS PORT
"""

import socket
import sys


def main() -> None:
    if len(sys.argv) != 3:
        print("usage: kv_client ADDRESS PORT", file=sys.stderr)
        sys.exit(2)
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # TODO: say which call failed, if one does.
    sock.connect((sys.argv[1], int(sys.argv[2])))
    for line in sys.stdin.buffer:
        # TODO: turn what was typed into a request of KV/1.
        sock.sendall(line)
        # TODO: read the answer to its end, and print one line for it.
        print(sock.recv(4096), flush=True)


if __name__ == "__main__":
    main()
