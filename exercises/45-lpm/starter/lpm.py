#!/usr/bin/env python3
"""Keep routes, and find the one for an address. The task is in README.md.

usage: lpm < COMMANDS
"""

import socket
import sys


def main() -> None:
    if len(sys.argv) > 1:
        print("usage: lpm < COMMANDS", file=sys.stderr)
        sys.exit(2)
    routes: list[tuple[str, str, str]] = []
    for line in sys.stdin:
        match line.split():
            case ["add", prefix, metric, hop]:
                routes.append((prefix, metric, hop))
                print("ok", flush=True)
            case ["get", address]:
                number = int.from_bytes(socket.inet_aton(address), "big")
                # TODO: which of the routes is it? Any will not do.
                print(f"no route to {number:08x} yet", file=sys.stderr)
                print(*(routes[0] if routes else ["error:", "ENETUNREACH"]), flush=True)
            case _:
                # TODO: del, and what is refused.
                print("error: EINVAL", flush=True)


if __name__ == "__main__":
    main()
