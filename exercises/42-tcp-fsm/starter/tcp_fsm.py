#!/usr/bin/env python3
"""Take one end of a TCP connection through its states, by hand. The task is in README.md.

usage: tcp_fsm [ISS]
"""

import sys


def main() -> None:
    if len(sys.argv) > 2:
        print("usage: tcp_fsm [ISS]", file=sys.stderr)
        sys.exit(2)
    iss = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    state = "CLOSED"
    for line in sys.stdin:
        match line.split():
            case ["connect"] if state == "CLOSED":
                state = "SYN-SENT"
                print(f"{state} > SYN seq={iss}", flush=True)
            case ["<", flags, *numbers]:
                # TODO: what does a segment with these flags and numbers mean in this state?
                print(f"{flags} {numbers}", file=sys.stderr)
                print(state, flush=True)
            case _:
                # TODO: the other calls.
                print(f"{state} ! EINVAL", flush=True)


if __name__ == "__main__":
    main()
