#!/usr/bin/env python3
"""Keep accounts for many clients. The task is in README.md.

usage: bank_server [-n CLIENTS] [-t MS] ADDRESS PORT
"""

import getopt
import socket
import sys

balances = [1000] * 100


def carry_out(line: bytes) -> bytes:
    match line.split(b" "):
        case [b"LIST"]:
            return b"LIST %b\n" % b" ".join(b"%d" % balance for balance in balances)
        case [b"MOVE", source, target, amount]:
            # TODO: POOR, and what is no number or no account; then: what if two threads are here?
            balances[int(source)] -= int(amount)
            balances[int(target)] += int(amount)
            return b"OK\n"
    return b"ERR unknown request\n"


def main() -> None:
    try:
        _, (address, port) = getopt.gnu_getopt(sys.argv[1:], "n:t:")
    except (getopt.GetoptError, ValueError):
        print("usage: bank_server [-n CLIENTS] [-t MS] ADDRESS PORT", file=sys.stderr)
        sys.exit(2)
    listener = socket.create_server((address, int(port)))
    print("READY", flush=True)
    while True:
        connection, _ = listener.accept()
        # TODO: a thread for each client, CLIENTS of them at most, and none for a client that is silent.
        with connection:
            for line in connection.makefile("rb"):
                if line == b"QUIT\n":
                    break
                connection.sendall(carry_out(line.rstrip(b"\n")))


if __name__ == "__main__":
    main()
