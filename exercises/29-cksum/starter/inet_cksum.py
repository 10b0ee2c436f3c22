#!/usr/bin/env python3
"""Compute and check the Internet checksums of packets. The task is in README.md.

usage: inet_cksum < COMMANDS
"""

import sys


def main() -> None:
    if len(sys.argv) != 1:
        print("usage: inet_cksum < COMMANDS", file=sys.stderr)
        sys.exit(2)
    for line in sys.stdin:
        command, _, text = line.strip().partition(" ")
        data = bytes.fromhex(text)
        if command == "sum":
            # TODO: 16-bit words instead of bytes, the carries, and the complement.
            print(f"{sum(data) & 0xFFFF:04x}", flush=True)
        elif command == "fill":
            # TODO: put the checksums into the packet.
            print(data.hex(), flush=True)
        else:
            # TODO: look at the checksums.
            print("header=- data=-", flush=True)


if __name__ == "__main__":
    main()
